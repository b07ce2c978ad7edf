/** What the tests share: a clock to turn, a client that reports what a socket did, a webhook receiver. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, FormData, request } from 'undici';
import { onTestFinished } from 'vitest';
import { type Answer, type Exchange, type Sandbox, type SandboxOptions, startSandbox } from '../src/index.ts';

export const ALICE = 'acc_alice_0000000000001';
export const BOB = 'acc_bob_000000000000001';
export const ADA = 'ACoAAAda';
export const GRACE = 'ACoAAGrace';

export interface Clock {
  now(): Date;
  advance(ms: number): void;
}

export function createClock(at = '2026-03-02T09:00:00.000Z'): Clock {
  let ms = Date.parse(at);
  return {
    now: () => new Date(ms),
    advance(byMs) {
      ms += byMs;
    },
  };
}

/** A sandbox with two accounts, closed when the test ends. */
export async function sandboxForTest(options: SandboxOptions = {}): Promise<Sandbox> {
  const accounts = [
    { id: ALICE, name: 'Alice Example' },
    { id: BOB, name: 'Bob Example' },
  ];
  const sandbox = await startSandbox({ accounts, ...options });
  onTestFinished(() => sandbox.close());
  return sandbox;
}

/** What a client can tell of a call: an answer, or the code of the socket's failure. */
export type Seen =
  | { kind: 'answered'; status: number; headers: IncomingHttpHeaders; text: string }
  | { kind: 'failed'; code: string; status: number | null };

export interface CallOptions {
  form?: Record<string, string | string[]>;
  files?: { field: string; name: string; bytes: string }[];
  json?: unknown;
  key?: string | null;
  signal?: AbortSignal;
  headers?: Record<string, string>;
  body?: string;
}

const agent = new Agent({ keepAliveTimeout: 1_000 });

/** One request over the wire, whatever comes of it. */
export async function see(
  sandbox: Sandbox,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  options: CallOptions = {},
): Promise<Seen> {
  const { key = sandbox.apiKey } = options;
  const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
  if (key !== null) headers['x-api-key'] = key;
  if (options.json !== undefined) headers['content-type'] = 'application/json';
  const body =
    options.form === undefined
      ? options.json === undefined
        ? (options.body ?? null)
        : JSON.stringify(options.json)
      : formOf(options);
  let status: number | null = null;
  try {
    const response = await request(`${sandbox.url}${path}`, {
      method,
      headers,
      body,
      dispatcher: agent,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    status = response.statusCode;
    const text = await response.body.text();
    return { kind: 'answered', status, headers: response.headers, text };
  } catch (error) {
    const { code, name } = error as { code?: string | number; name: string };
    return { kind: 'failed', code: typeof code === 'string' ? code : name, status };
  }
}

function formOf({ form = {}, files = [] }: CallOptions): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(form)) {
    for (const item of [value].flat()) data.append(name, item);
  }
  for (const { field, name, bytes } of files) data.append(field, new Blob([bytes]), name);
  return data;
}

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: bodies are compared as they come
  body: any;
}

/** One request that must be answered with JSON (or nothing). */
export async function call(
  sandbox: Sandbox,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  options: CallOptions = {},
): Promise<Reply> {
  const seen = await see(sandbox, method, path, options);
  if (seen.kind === 'failed') throw new Error(`${method} ${path}: ${seen.code}`);
  const body = seen.text === '' ? null : JSON.parse(seen.text);
  return { status: seen.status, headers: seen.headers, body };
}

export function startChat(sandbox: Sandbox, text = 'Hi Ada', to = ADA, from = ALICE): Promise<Reply> {
  return call(sandbox, 'POST', '/api/v1/chats', { form: { account_id: from, attendees_ids: to, text } });
}

export function seeStartChat(sandbox: Sandbox, text = 'Hi Ada', signal?: AbortSignal): Promise<Seen> {
  return see(sandbox, 'POST', '/api/v1/chats', {
    form: { account_id: ALICE, attendees_ids: ADA, text },
    ...(signal === undefined ? {} : { signal }),
  });
}

export function texts(sandbox: Sandbox): string[] {
  return sandbox.world.effects().map(({ text }) => text);
}

/** Drives an exchange of a world to its end, without time. */
export function settle(exchange: Exchange): Answer {
  return exchange.finish();
}

/** The JSON of an answer, with its status. */
export function said(exchange: Exchange): Reply {
  const answer = settle(exchange);
  if (answer.kind !== 'reply' || answer.body.kind !== 'json') throw new Error(`answer was ${answer.kind}`);
  return { status: answer.status, headers: {}, body: answer.body.value };
}

export interface Received {
  headers: IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: bodies are compared as they come
  body: any;
}

export interface Receiver {
  url: string;
  /** The next delivery, in the order they arrive. */
  next(): Promise<Received>;
  received: Received[];
}

/** A server that webhooks can be pointed at. @param statuses answered in order, then 200; 0 never answers */
export async function receiverForTest(statuses: number[] = []): Promise<Receiver> {
  const received: Received[] = [];
  const waiting: ((delivery: Received) => void)[] = [];
  const unread: Received[] = [];
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const delivery = { headers: incoming.headers, text, body: text === '' ? null : JSON.parse(text) };
      const status = statuses.shift() ?? 200;
      if (status !== 0) outgoing.writeHead(status, { location: '/elsewhere' }).end();
      received.push(delivery);
      const waiter = waiting.shift();
      if (waiter === undefined) unread.push(delivery);
      else waiter(delivery);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    next: () =>
      new Promise((resolve) => {
        const delivery = unread.shift();
        if (delivery === undefined) waiting.push(resolve);
        else resolve(delivery);
      }),
  };
}
