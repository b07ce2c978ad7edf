/**
 * What every search for a lost write shares: whole lists, and what it means to have found nothing.
 */
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Failure, Sought } from '../unipile.ts';
import { type Body, type Exchange, unreadable } from './exchange.ts';

/** Pages of one list that are read at most. */
const PAGES_MAX = 5;

/** What two clocks may differ by, in milliseconds. */
const SKEW_MS = 120_000;

/** The first instant at which the write of an attempt may be dated. */
export function earliestOf(since: Date): Date {
  return new Date(since.getTime() - SKEW_MS);
}

export interface ListRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly pageSize: number;
  /** Whether what follows this page, newest first, need not be read. */
  readonly isEnough?: (items: readonly unknown[]) => boolean;
}

/** All items of a list, or a failure: never a part of it. */
export async function readList(
  exchange: Exchange,
  { path, query, pageSize, isEnough = () => false }: ListRequest,
  whole: AbortSignal,
): Promise<{ readonly ok: true; readonly items: readonly unknown[] } | Failure> {
  const items: unknown[] = [];
  let cursor: string | undefined;
  for (let count = 0; count < PAGES_MAX; count += 1) {
    const page = await exchange.read(
      path,
      { ...query, limit: String(pageSize), cursor },
      { whole, isRetried: true },
    );
    if (!page.ok) return page;
    if (!Array.isArray(page.body.items)) return unreadable('unreadable_answer');
    items.push(...page.body.items);
    // At the end it is null, and missing where the list is empty.
    const next = page.body.cursor;
    if (typeof next !== 'string' || next === '' || isEnough(page.body.items)) return { ok: true, items };
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
  whole: AbortSignal,
): Promise<AccountState | Failure> {
  const read = await exchange.read(
    `accounts/${encodeURIComponent(accountId)}`,
    {},
    { whole, isRetried: true },
  );
  if (!read.ok) return read;
  const account: Body = read.body;
  if (!Account.Check(account)) return unreadable('unreadable_answer');
  return {
    ok: true,
    providerId: account.connection_params.im.id,
    status: account.sources.find(({ status }) => status !== 'OK')?.status ?? 'OK',
  };
}

/** What it means that nothing was found, asked after the lists were read: while it was out of order they were stale. */
export async function notFound(
  exchange: Exchange,
  accountId: string,
  whole: AbortSignal,
): Promise<Sought<never>> {
  const account = await readAccount(exchange, accountId, whole);
  if (!account.ok) return account;
  if (account.status !== 'OK') return { ok: true, kind: 'account_out_of_order', status: account.status };
  return { ok: true, kind: 'absent' };
}

/** Whether Unipile has no such thing. A 404 of anything before it, without a type, says nothing. */
export function isMissing({ httpStatus, type }: Failure): boolean {
  return httpStatus === 404 && type !== null;
}

/** The instant of a timestamp that Unipile wrote, or null if it is none. */
export function instantOf(text: string): Date | null {
  const instant = new Date(text);
  return Number.isNaN(instant.getTime()) ? null : instant;
}

/** The first to have happened, if there is any. */
export function oldestOf<Found extends { readonly sentAt: Date }>(
  found: readonly Found[],
): Found | undefined {
  return found.toSorted((left, right) => left.sentAt.getTime() - right.sentAt.getTime())[0];
}
