/** Accounts by their ids or their names. */
import type { JobsClient } from '@revos/jobs-client';
import { isId } from './command-line.ts';
import { UsageError } from './exit-codes.ts';
import { onOneLine } from './output/words.ts';
import type { Account } from './shapes.ts';

/** Names asked for in one call, and how long they may be together once they stand in an address. */
const NAMES_MAX = 50;
const NAMES_LENGTH_MAX = 4_000;

/** Accounts of one name, at most: 200 are a page. */
const PAGE = 200;

/** The id of the account that is meant. @throws {UsageError} if no account has this name, or several have */
export async function accountId(api: JobsClient, given: string): Promise<string> {
  const [only = ''] = await accountIds(api, [given]);
  return only;
}

/**
 * The ids of the accounts that are meant, once each. @throws {UsageError} as accountId, naming
 * every problem
 */
export async function accountIds(api: JobsClient, given: readonly string[]): Promise<string[]> {
  const names = given.filter((text) => !isId(text));
  const found = names.length === 0 ? [] : await accountsNamed(api, names);
  const problems: string[] = [];
  const meant = given.map((text) => {
    if (isId(text)) return text.toLowerCase();
    const matching = found.filter(({ account_name }) => account_name === text);
    const [first] = matching;
    if (first !== undefined && matching.length === 1) return first.id;
    problems.push(nameProblem(text, matching));
    return '';
  });
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return [...new Set(meant)];
}

function nameProblem(name: string, matching: readonly Account[]): string {
  const shown = onOneLine(name);
  if (matching.length === 0) return `No account is called “${shown}”. \`ops accounts\` lists them.`;
  const each = matching.map(({ id, status }) => `  ${id}  ${status ?? 'without a status'}`);
  return [`${matching.length} accounts are called “${shown}”; give the id of one:`, ...each].join('\n');
}

/** The accounts with any of these names. */
export async function accountsNamed(api: JobsClient, names: readonly string[]): Promise<Account[]> {
  const found: Account[] = [];
  for (const some of inParts([...new Set(names)])) {
    const page = await api.get('/api/accounts', { params: { query: { name: some, limit: PAGE } } });
    for (const account of page.items) found.push(account);
  }
  return found;
}

/** All accounts there are. */
export async function everyAccount(api: JobsClient): Promise<Account[]> {
  const found: Account[] = [];
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = { limit: PAGE, ...(cursor === null ? {} : { cursor }) };
    const page: { items: Account[]; next_cursor: string | null } = await api.get('/api/accounts', {
      params: { query },
    });
    for (const account of page.items) found.push(account);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}

function inParts(names: readonly string[]): string[][] {
  const parts: string[][] = [];
  let length = 0;
  for (const name of names) {
    const nameLength = encodeURIComponent(name).length + '&name='.length;
    const last = parts.at(-1);
    if (last === undefined || last.length === NAMES_MAX || length + nameLength > NAMES_LENGTH_MAX) {
      parts.push([name]);
      length = nameLength;
    } else {
      last.push(name);
      length += nameLength;
    }
  }
  return parts;
}
