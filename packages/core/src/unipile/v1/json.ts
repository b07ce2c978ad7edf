/** JSON of others, parsed within a bound: a short text may stand for a great many values. */

import { jsonExtent } from '../../json/index.ts';

export type Body = Readonly<Record<string, unknown>>;

/**
 * Values in one answer. A page of a hundred messages or posts, with all their fields, has a tenth
 * of it. 8 MB of `{}` have three million, which take 200 MB once they are parsed.
 */
const VALUES_MAX = 200_000;

/** The object that a text is; undefined if it is none, or has more than 200,000 values in it. */
export function parseObject(text: string): Body | undefined {
  if (text.length > VALUES_MAX && jsonExtent(text).values > VALUES_MAX) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Body) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
