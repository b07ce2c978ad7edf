/** Posts: list, look at, set options, and act on many. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  ActionResult,
  type Admin,
  Post,
  PostAction,
  PostDetail,
  PostExplanation,
  PostFilter,
  PostOptions,
  PostOptionsPatch,
} from '@revos/core/admin';
import { Page } from '@revos/core/shapes';
import { nameOf } from '../plugins/auth.ts';
import { HttpProblem } from '../problems.ts';
import { IdPath, listQuery } from '../schemas/lists.ts';
import { bodyErrors, commonErrors, conflicts, notFound } from '../schemas/problem.ts';
import { ACTION_BYTES_MAX } from './messages.ts';

/** As many media and mentions as there may be, each as long as it may be. */
const OPTIONS_BYTES_MAX = 256 * 1_024;

export interface PostsOptions {
  readonly posts: Admin['posts'];
}

export const postRoutes: FastifyPluginAsyncTypebox<PostsOptions> = async (app, { posts }) => {
  app.get(
    '/posts',
    {
      schema: {
        operationId: 'listPosts',
        description: 'Posts, without their texts.',
        tags: ['posts'],
        querystring: listQuery(PostFilter.properties),
        response: { 200: Page(Post), ...commonErrors },
      },
    },
    async ({ query }) => posts.list(query),
  );

  app.get(
    '/posts/:id',
    {
      schema: {
        operationId: 'getPost',
        description: 'One post with its text, its options, its attempts, and why it has not been published.',
        tags: ['posts'],
        params: IdPath,
        response: { 200: PostDetail, ...commonErrors, ...notFound },
      },
    },
    async ({ params }) => found(await posts.get(params.id)),
  );

  app.get(
    '/posts/:id/explanation',
    {
      schema: {
        operationId: 'explainPost',
        description: 'Why a post has not been published, and the earliest instant at which it can be.',
        tags: ['posts'],
        params: IdPath,
        response: { 200: PostExplanation, ...commonErrors, ...notFound },
      },
    },
    async ({ params }) => found(await posts.explain(params.id)),
  );

  app.patch(
    '/posts/:id/options',
    {
      bodyLimit: OPTIONS_BYTES_MAX,
      schema: {
        operationId: 'setPostOptions',
        description: 'Sets how a post is published: its media, mentions, link and organization.',
        tags: ['posts'],
        params: IdPath,
        body: PostOptionsPatch,
        response: { 200: PostOptions, ...commonErrors, ...bodyErrors, ...notFound },
      },
    },
    async (request) => app.drain.track(posts.setOptions(request.params.id, request.body, nameOf(request))),
  );

  app.post(
    '/posts/actions',
    {
      bodyLimit: ACTION_BYTES_MAX,
      schema: {
        operationId: 'actOnPosts',
        description:
          '`cancel` {reason?}; `retry` what has failed; `reschedule` {scheduled_for}; `publish_now` what was missed or waits; `settle` {decision, reason?, looked_at?} what is unknown. Rows that are named may be changed at once; for a filter, run with `dry_run` first and pass its `matched` as `expected_count`.',
        tags: ['posts'],
        body: PostAction,
        response: { 200: ActionResult, ...commonErrors, ...bodyErrors, ...conflicts },
      },
    },
    async (request) => app.drain.track(posts.act(request.body, nameOf(request))),
  );
};

function found<Value>(value: Value | null): Value {
  if (value === null) throw new HttpProblem('post-not-found');
  return value;
}
