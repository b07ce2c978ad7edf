/** What routes of lists and of one thing among many take. */
import { Id, Paging } from '@revos/core/shapes';
import Type, { type TProperties } from 'typebox';

/** The path of one thing. */
export const IdPath = Type.Object({ id: Id });

/** The query of a list: its filter, and the page. */
export const listQuery = <Filter extends TProperties>(filter: Filter) =>
  Type.Object({ ...filter, ...Paging.properties }, { additionalProperties: false });
