import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Action, Fault } from '@revos/unipile-sandbox';
import { onTestFinished } from 'vitest';
import type {
  CreatePostRequest,
  FindMessageRequest,
  FindPostRequest,
  Unipile,
} from '../../../src/unipile/index.ts';
import { createUnipileV1, type UnipileV1Options } from '../../../src/unipile/index.ts';

export const ALICE = 'alice';
export const BOB = 'bob';
export const ADA = 'ACoAAAda';
export const GRACE = 'ACoAAGrace';
export const PAGE = '42';

export const accounts = [{ id: ALICE, organizations: [{ id: PAGE, name: 'Acme' }] }, { id: BOB }];

/** A clock that stands until it is turned. */
export function clockOf(at = '2026-03-02T09:00:00.000Z') {
  let ms = Date.parse(at);
  return {
    now: () => new Date(ms),
    pass: (byMs: number) => {
      ms += byMs;
    },
  };
}

/** Strikes the next write of this kind, and no other. */
export const struck = (operation: Fault['match']['operation'], action: Action): Fault => ({
  match: { operation },
  action,
});

/** Answers every request with what `answer` says: a status and a body, or nothing at all. */
export async function unipileSaying(
  answer: (request: IncomingMessage, count: number) => { status?: number; body: unknown } | null,
  options: Partial<UnipileV1Options> = {},
): Promise<{ client: Unipile; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const said = answer(request, asked.length);
    if (said === null) return;
    const text = typeof said.body === 'string' ? said.body : JSON.stringify(said.body);
    response.writeHead(said.status ?? 200, { 'content-type': 'application/json' }).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const dsn = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createUnipileV1({ dsn, apiKey: 'key', ...options });
  onTestFinished(() => client.close());
  return { client, asked };
}

/** An account as `GET /accounts/{id}` tells it. */
export const accountSaying = (...statuses: readonly string[]) => ({
  sources: statuses.map((status, index) => ({ id: `source_${index}`, status })),
  connection_params: { im: { id: 'ACoAAOwn' } },
});

export const post = (more: Partial<CreatePostRequest> = {}): CreatePostRequest => ({
  accountId: ALICE,
  text: 'We are hiring',
  attachments: [],
  mentions: [],
  externalLink: null,
  asOrganization: null,
  ...more,
});

const SINCE = new Date('2026-03-02T09:00:00.000Z');

export const soughtMessage = (more: Partial<FindMessageRequest> = {}): FindMessageRequest => ({
  accountId: ALICE,
  recipientId: ADA,
  chatId: null,
  text: 'Hi Ada',
  since: SINCE,
  knownIds: [],
  ...more,
});

export const soughtPost = (more: Partial<FindPostRequest> = {}): FindPostRequest => ({
  accountId: ALICE,
  text: 'We are hiring',
  mentions: [],
  externalLink: null,
  asOrganization: null,
  since: SINCE,
  knownIds: [],
  ...more,
});
