/** Somebody who is told something over HTTP, answers as he is bidden, and keeps all of it. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

export interface Received {
  readonly method: string;
  /** As it stands in the request: the path, and the query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Receiver {
  /** `http://127.0.0.1:<port>` */
  readonly address: string;
  readonly received: readonly Received[];
  /** What is answered from now on, and how many milliseconds after the question: a status, or `nothing`. */
  answerWith(answer: number | 'nothing', headers?: Readonly<Record<string, string>>, afterMs?: number): void;
  forget(): void;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  let answer: number | 'nothing' = 200;
  let answerHeaders: Readonly<Record<string, string>> = {};
  let answerAfterMs = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const { method = '', url = '', headers } = request;
      received.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      if (answer === 'nothing') return;
      if (answerAfterMs > 0) await setTimeout(answerAfterMs);
      response.writeHead(answer, { 'content-type': 'application/json', ...answerHeaders }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answerWith(next, headers = {}, afterMs = 0) {
      answer = next;
      answerHeaders = headers;
      answerAfterMs = afterMs;
    },
    forget() {
      received.length = 0;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
