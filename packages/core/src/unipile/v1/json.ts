/** JSON of others, parsed within a bound: a short text may stand for a great many values. */

export type Body = Readonly<Record<string, unknown>>;

/**
 * Values in one answer. A page of a hundred messages or posts, with all their fields, has a tenth of it. 8 MB of `{}` have
 * three million, which take 200 MB once they are parsed.
 */
const VALUES_MAX = 200_000;

/** The object that a text is; undefined if it is none, or has more than 200,000 values in it. */
export function parseObject(text: string): Body | undefined {
  if (hasTooManyValues(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Body) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const [QUOTE, BACKSLASH, COMMA, BRACKET, BRACE] = [0x22, 0x5c, 0x2c, 0x5b, 0x7b];

/** Counted by what stands before each: a comma, or the beginning of a list or an object. */
function hasTooManyValues(text: string): boolean {
  if (text.length <= VALUES_MAX) return false;
  let count = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (isInString) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) isInString = false;
    } else if (code === QUOTE) isInString = true;
    else if (code === COMMA || code === BRACKET || code === BRACE) {
      count += 1;
      if (count > VALUES_MAX) return true;
    }
  }
  return false;
}
