/** Query strings of the reads, and their names in the world. */
import { type Static, Type } from 'typebox';
import type { ListQuery } from '../world/pages.ts';

const Text = Type.Optional(Type.String({ minLength: 1, maxLength: 4_000 }));

/** Ranges and instants are checked by the world, so that it refuses alike in-process and over HTTP. */
export const List = Type.Object({
  account_id: Text,
  sender_id: Text,
  before: Text,
  after: Text,
  cursor: Text,
  limit: Type.Optional(Type.Integer()),
  unread: Type.Optional(Type.Boolean()),
  is_company: Type.Optional(Type.Boolean()),
});

export const AccountOnly = Type.Object({ account_id: Text });

export function listQuery(query: Static<typeof List>): ListQuery {
  return {
    accountId: query.account_id,
    senderId: query.sender_id,
    before: query.before,
    after: query.after,
    cursor: query.cursor,
    limit: query.limit,
    unread: query.unread,
    isCompany: query.is_company,
  };
}
