/** What the routes about posts take and answer. */
import { Page, Paging, Post, PostFilter } from '@revos/core/operations';
import Type from 'typebox';

export const PostQuery = Type.Object(
  { ...PostFilter.properties, ...Paging.properties },
  { additionalProperties: false },
);

export const PostList = Page(Post);
