/** A stand-in of Sentry: takes envelopes over HTTP as it does, and keeps all that it was told. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

const PUBLIC_KEY = '0123456789abcdef0123456789abcdef';
const PROJECT = '42';

export interface SentryItem {
  readonly type: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface SentryRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface SentryStandIn {
  readonly dsn: string;
  /** All that came, to be looked through as it is. */
  readonly requests: readonly SentryRequest[];
  /** The items of every envelope, in the order in which they came. */
  items(type?: 'event' | 'check_in'): readonly SentryItem[];
  /** What is answered from now on: a status, or `nothing`. */
  answerWith(answer: number | 'nothing'): void;
  forget(): void;
  close(): Promise<void>;
}

export async function startSentry(): Promise<SentryStandIn> {
  const requests: SentryRequest[] = [];
  let answer: number | 'nothing' = 200;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      requests.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      if (answer === 'nothing') return;
      const isLimit = answer === 429;
      response.writeHead(answer, {
        'content-type': 'application/json',
        ...(isLimit ? { 'retry-after': '60' } : {}),
      });
      response.end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    dsn: `http://${PUBLIC_KEY}@127.0.0.1:${port}/${PROJECT}`,
    requests,
    items: (type) =>
      requests
        .flatMap(({ body }) => itemsOf(body))
        .filter((item) => type === undefined || item.type === type),
    answerWith(next) {
      answer = next;
    },
    forget() {
      requests.length = 0;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Lines of JSON: the envelope's header, and of each item its header and its payload. @throws on what is no envelope */
function itemsOf(body: string): SentryItem[] {
  const [, ...lines] = body.split('\n').filter((line) => line !== '');
  if (lines.length % 2 !== 0) throw new Error('this is no envelope');
  return Array.from({ length: lines.length / 2 }, (_, item) => {
    const { type } = JSON.parse(lines[2 * item] ?? '') as { type: string };
    return { type, payload: JSON.parse(lines[2 * item + 1] ?? '') as SentryItem['payload'] };
  });
}
