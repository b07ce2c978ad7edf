/** Accounts: list, look at, set their policies, pause and resume. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  Account,
  AccountDetail,
  AccountFilter,
  type Admin,
  PauseRequest,
  Policy,
  PolicyPatch,
  ResumedPolicy,
} from '@revos/core/admin';
import { Page } from '@revos/core/shapes';
import { nameOf } from '../plugins/auth.ts';
import { HttpProblem } from '../problems.ts';
import { IdPath, listQuery } from '../schemas/lists.ts';
import { bodyErrors, commonErrors, notFound } from '../schemas/problem.ts';
import { NoBody } from '../schemas/runs.ts';

export interface AccountsOptions {
  readonly accounts: Admin['accounts'];
}

const { status, paused, names } = AccountFilter.properties;

export const accountRoutes: FastifyPluginAsyncTypebox<AccountsOptions> = async (app, { accounts }) => {
  app.get(
    '/accounts',
    {
      schema: {
        operationId: 'listAccounts',
        description: 'Accounts by name, with their policies and how many messages are in each status.',
        tags: ['accounts'],
        querystring: listQuery({ status, paused, name: names }),
        response: { 200: Page(Account), ...commonErrors },
      },
    },
    async ({ query: { name, ...query } }) =>
      accounts.list({ ...query, ...(name === undefined ? {} : { names: name }) }),
  );

  app.get(
    '/accounts/:id',
    {
      schema: {
        operationId: 'getAccount',
        description: 'One account, with what is used of its limits and whether a message may go now.',
        tags: ['accounts'],
        params: IdPath,
        response: { 200: AccountDetail, ...commonErrors, ...notFound },
      },
    },
    async ({ params }) => {
      const account = await accounts.get(params.id);
      if (account === null) throw new HttpProblem('account-not-found');
      return account;
    },
  );

  app.patch(
    '/accounts/:id/policy',
    {
      schema: {
        operationId: 'setAccountPolicy',
        description: 'Changes limits, pace or window of an account; what is not named stands.',
        tags: ['accounts'],
        params: IdPath,
        body: PolicyPatch,
        response: { 200: Policy, ...commonErrors, ...bodyErrors, ...notFound },
      },
    },
    async (request) => app.drain.track(accounts.setPolicy(request.params.id, request.body, nameOf(request))),
  );

  app.post(
    '/accounts/:id/pause',
    {
      schema: {
        operationId: 'pauseAccount',
        description: 'Pauses an account, of messages and of posts. What is on its way is not called back.',
        tags: ['accounts'],
        params: IdPath,
        body: PauseRequest,
        response: { 200: Policy, ...commonErrors, ...bodyErrors, ...notFound },
      },
    },
    async (request) => app.drain.track(accounts.pause(request.params.id, request.body, nameOf(request))),
  );

  app.post(
    '/accounts/:id/resume',
    {
      schema: {
        operationId: 'resumeAccount',
        description: 'Ends an account’s pause, and says how many due messages that releases, at its pace.',
        tags: ['accounts'],
        params: IdPath,
        body: NoBody,
        response: { 200: ResumedPolicy, ...commonErrors, ...bodyErrors, ...notFound },
      },
    },
    async (request) => app.drain.track(accounts.resume(request.params.id, nameOf(request))),
  );
};
