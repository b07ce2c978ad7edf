/** Filters as they are typed: `status=failed account="Ada Moreau"`. The keys are those of the API’s lists. */
import type { JobsClient } from '@revos/jobs-client';
import { accountIds } from './accounts.ts';
import { day, instantFromNow } from './command-line.ts';
import { UsageError } from './exit-codes.ts';

/**
 * How the value of a key is read: `codes` are separated by commas, `texts` may hold commas and are given one
 * by one, `accounts` are ids or names.
 */
export type FilterKind = 'codes' | 'texts' | 'text' | 'accounts' | 'instant' | 'day' | 'boolean';

export type FilterKinds = Readonly<Record<string, FilterKind>>;

/** The keys of a filter, in words for its help. */
export const filterHelp = (kinds: FilterKinds): string =>
  `\nFilters (key=value; a key may come more than once, and any of its values matches):\n  ${Object.keys(kinds).join(', ')}`;

/**
 * Reads a filter.
 *
 * @throws {UsageError} on a key that does not exist, on what is no `key=value`, and on a bad value
 */
export async function readFilter(
  api: () => JobsClient,
  entries: readonly string[],
  kinds: FilterKinds,
): Promise<Readonly<Record<string, unknown>>> {
  const given = new Map<string, string[]>();
  for (const entry of entries) {
    const [key, value] = splitPair(entry);
    if (!Object.hasOwn(kinds, key)) {
      throw new UsageError(`There is no filter “${key}”. There are: ${Object.keys(kinds).join(', ')}.`);
    }
    given.set(key, [...(given.get(key) ?? []), value]);
  }

  const filter: Record<string, unknown> = {};
  for (const [key, values] of given) {
    const kind = kinds[key];
    if (kind === 'accounts') filter.account_id = await accountIds(api(), values);
    else if (kind === 'codes')
      filter[key] = values.flatMap((value) => value.split(',').map((each) => each.trim()));
    else if (kind === 'texts') filter[key] = values;
    else filter[key] = readOne(key, values, kind);
  }
  return filter;
}

/** `key=value`; a value may hold `=`. @throws {UsageError} */
export function splitPair(entry: string): [key: string, value: string] {
  const at = entry.indexOf('=');
  if (at <= 0 || at === entry.length - 1) throw new UsageError(`“${entry}” must be key=value.`);
  return [entry.slice(0, at), entry.slice(at + 1)];
}

function readOne(key: string, values: readonly string[], kind: FilterKind | undefined): unknown {
  const [value = ''] = values;
  if (values.length > 1) throw new UsageError(`${key} can have one value only.`);
  if (kind === 'boolean') {
    if (value !== 'true' && value !== 'false') throw new UsageError(`${key} must be true or false.`);
    return value === 'true';
  }
  if (kind !== 'instant' && kind !== 'day') return value;
  try {
    return kind === 'day' ? day(value) : instantFromNow(value);
  } catch (error) {
    throw new UsageError(`${key}: ${(error as Error).message}`);
  }
}
