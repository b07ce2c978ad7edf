/**
 * Lists as the real service gives them: newest first, bounded, with an opaque cursor.
 *
 * A cursor is standard base64 and carries the whole query, so that other parameters are ignored
 * beside it; it points behind the last row seen, so that rows arriving meanwhile shift nothing.
 */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { ApiError } from '../errors.ts';

/** What a list may be asked. Instants are `YYYY-MM-DDTHH:MM:SS.sssZ` and both exclusive. */
export interface ListQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  /** One id or several, separated by commas. */
  readonly accountId?: string | undefined;
  readonly senderId?: string | undefined;
  readonly unread?: boolean | undefined;
  readonly isCompany?: boolean | undefined;
}

/** Position of a row: its instant in ms, and its order among rows of one instant. */
export interface RowKey {
  readonly atMs: number;
  readonly seq: number;
}

interface PageRequest<Row> {
  /** Name of the list, so that a cursor of another list is refused. */
  readonly list: string;
  readonly query: ListQuery;
  readonly limits: { readonly fallback: number; readonly max: number };
  /** Rows for the query, in any order; instants and cursor are dealt with here. */
  readonly rows: (query: ListQuery) => readonly Row[];
  readonly keyOf: (row: Row) => RowKey;
}

const Cursor = Type.Object({
  list: Type.String(),
  query: Type.Object(
    {
      limit: Type.Optional(Type.Integer({ minimum: 1 })),
      before: Type.Optional(Type.String()),
      after: Type.Optional(Type.String()),
      accountId: Type.Optional(Type.String()),
      senderId: Type.Optional(Type.String()),
      unread: Type.Optional(Type.Boolean()),
      isCompany: Type.Optional(Type.Boolean()),
    },
    { additionalProperties: false },
  ),
  last: Type.Object({ atMs: Type.Number(), seq: Type.Integer() }),
});
const cursorCheck = Compile(Cursor);

/** @throws {ApiError} invalid_parameters: limit out of range, bad instant, bad cursor */
export function page<Row>(request: PageRequest<Row>): { items: Row[]; cursor: string | null } {
  const from = request.query.cursor === undefined ? null : decodeCursor(request.list, request.query.cursor);
  const query: ListQuery = from?.query ?? request.query;
  const limit = limitOf(query.limit, request.limits);
  const beforeMs = instantMs('before', query.before);
  const afterMs = instantMs('after', query.after);
  const wanted = request
    .rows(query)
    .map((row) => ({ row, key: request.keyOf(row) }))
    .filter(({ key }) => beforeMs === undefined || key.atMs < beforeMs)
    .filter(({ key }) => afterMs === undefined || key.atMs > afterMs)
    .filter(({ key }) => from === null || newestFirst(from.last, key) < 0)
    .sort((left, right) => newestFirst(left.key, right.key));
  const shown = wanted.slice(0, limit);
  const last = shown.at(-1);
  const isEnd = last === undefined || wanted.length <= limit;
  return {
    items: shown.map(({ row }) => row),
    cursor: isEnd ? null : encodeCursor(request.list, query, last.key),
  };
}

function newestFirst(left: RowKey, right: RowKey): number {
  return right.atMs - left.atMs || right.seq - left.seq;
}

function limitOf(limit: number | undefined, { fallback, max }: { fallback: number; max: number }): number {
  if (limit === undefined) return fallback;
  if (Number.isInteger(limit) && limit >= 1 && limit <= max) return limit;
  throw new ApiError('invalid_parameters', `limit must be an integer between 1 and ${max}.`);
}

function instantMs(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const instant = new Date(text);
  // 24 characters: a year has four digits.
  const isExact = text.length === 24 && !Number.isNaN(instant.getTime()) && instant.toISOString() === text;
  if (isExact) return instant.getTime();
  throw new ApiError('invalid_parameters', `${name} must be in the form YYYY-MM-DDTHH:MM:SS.sssZ.`);
}

function encodeCursor(list: string, query: ListQuery, last: RowKey): string {
  const { cursor: _, ...rest } = query;
  return Buffer.from(JSON.stringify({ list, query: rest, last })).toString('base64');
}

function decodeCursor(list: string, cursor: string): Static<typeof Cursor> {
  const refusal = new ApiError('invalid_parameters', 'cursor is invalid.');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64').toString());
  } catch {
    throw refusal;
  }
  if (!cursorCheck.Check(value) || value.list !== list) throw refusal;
  return value;
}
