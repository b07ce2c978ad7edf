/**
 * What every search for a lost write shares: whole lists, and what it means to have found nothing.
 */

import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { storableText } from '../../json/index.ts';
import type { Failure, SearchResult } from '../unipile.ts';
import { type Exchange, unreadable } from './exchange.ts';

/** Pages of one list that are read at most. */
const PAGES_MAX = 5;

/** Items of one page that are looked at: Unipile gives 250 at most, whatever is asked for. */
const ITEMS_MAX = 1_000;

/** The longest status of an account that is shown; those that are known have a word. */
const STATUS_LENGTH_MAX = 100;

/** What two clocks may differ by, in milliseconds. */
const SKEW_MS = 120_000;

/** The first instant at which the write of an attempt may be dated. */
export function earliestOf(since: Date): Date {
  return new Date(since.getTime() - SKEW_MS);
}

/**
 * Looks at an item of a list, which is not kept. False if it cannot be understood: then the whole
 * list cannot.
 */
export type TakeItem = (item: unknown) => boolean;

export interface ListRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly pageSize: number;
  readonly take: TakeItem;
  /** Whether what follows this page, newest first, need not be read. */
  readonly isEnough?: (items: readonly unknown[]) => boolean;
}

/** Shows `take` every item of a list, page by page; a failure if it could not be all of them. */
export async function readList(
  exchange: Exchange,
  { path, query, pageSize, take, isEnough = () => false }: ListRequest,
  searchSignal: AbortSignal,
): Promise<{ readonly ok: true } | Failure> {
  let cursor: string | undefined;
  for (let count = 0; count < PAGES_MAX; count += 1) {
    const page = await exchange.read(
      path,
      { ...query, limit: String(pageSize), cursor },
      { searchSignal, isRetried: true },
    );
    if (!page.ok) return page;
    const items: unknown = page.body.items;
    if (!Array.isArray(items)) return unreadable('unreadable_answer');
    if (items.length > ITEMS_MAX) return unreadable('list_too_long');
    if (!items.every(take)) return unreadable('unreadable_answer');
    // At the end it is null, and missing where the list is empty.
    const next = page.body.cursor;
    if (typeof next !== 'string' || next === '' || isEnough(items)) return { ok: true };
    cursor = next;
  }
  return unreadable('list_too_long');
}

const Account = Compile(
  Type.Object({
    sources: Type.Array(Type.Object({ status: Type.String() }), { minItems: 1 }),
    connection_params: Type.Object({ im: Type.Object({ id: Type.String({ minLength: 1 }) }) }),
  }),
);

export interface AccountState {
  readonly ok: true;
  /** The account's own LinkedIn id: the author of its posts. */
  readonly providerId: string;
  /** `OK`, or the first other status among its sources. */
  readonly status: string;
}

export async function readAccount(
  exchange: Exchange,
  accountId: string,
  searchSignal: AbortSignal,
): Promise<AccountState | Failure> {
  const read = await exchange.read(
    `accounts/${encodeURIComponent(accountId)}`,
    {},
    { searchSignal, isRetried: true },
  );
  if (!read.ok) return read;
  const account: unknown = read.body;
  if (!Account.Check(account)) return unreadable('unreadable_answer');
  return {
    ok: true,
    providerId: account.connection_params.im.id,
    status: storableText(
      account.sources.find(({ status }) => status !== 'OK')?.status ?? 'OK',
      STATUS_LENGTH_MAX,
    ),
  };
}

/**
 * What it means that nothing was found, asked after the lists were read: while it was out of order
 * they were stale.
 */
export async function notFound(
  exchange: Exchange,
  accountId: string,
  searchSignal: AbortSignal,
): Promise<SearchResult<never>> {
  const account = await readAccount(exchange, accountId, searchSignal);
  if (!account.ok) return account;
  if (account.status !== 'OK') return { ok: true, kind: 'account_out_of_order', status: account.status };
  return { ok: true, kind: 'absent' };
}

/** Whether Unipile has no such thing. A 404 of anything before it, without a type, says nothing. */
export function isMissing({ httpStatus, type }: Failure): boolean {
  return httpStatus === 404 && type !== null;
}

/** Years that the database can keep, written as JavaScript writes them. */
const [INSTANT_MIN, INSTANT_MAX] = [0, Date.parse('9999-12-31T23:59:59.999Z')];

/** The instant of a timestamp that Unipile wrote, or null if it is none of this age. */
export function instantOf(text: string): Date | null {
  const instant = new Date(text);
  return instant.getTime() >= INSTANT_MIN && instant.getTime() <= INSTANT_MAX ? instant : null;
}
