/** What the routes about accounts take and answer. */
import { Account, AccountFilter, Page, Paging } from '@revos/core/operations';
import Type from 'typebox';

const { status, paused, names } = AccountFilter.properties;

export const AccountQuery = Type.Object(
  { status, paused, name: names, ...Paging.properties },
  { additionalProperties: false },
);

export const AccountList = Page(Account);
