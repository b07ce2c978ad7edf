/**
 * A port of its own for the metrics, without a credential: for a private network, and for a worker,
 * which has no other.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '@revos/core/telemetry';

export const METRICS_PATH = '/metrics';

/** Whoever scrapes asks one thing at a time. */
const CONNECTIONS_MAX = 64;
const REQUEST_MS_MAX = 10_000;
const HEADER_BYTES_MAX = 8_192;

export interface Scrape {
  /** The media type of the text format. */
  readonly contentType: string;
  /** Every metric as text. It does not wait for a database or a Redis that is away. */
  scrape(): Promise<string>;
}

export interface MetricsPort {
  readonly port: number;
  close(): Promise<void>;
}

/** @param port 0 for any that is free */
export async function openMetricsPort(port: number, metrics: Scrape, logger: Logger): Promise<MetricsPort> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refuse = (status: number, headers = {}): void => {
      response.writeHead(status, headers).end();
    };
    // What a request brings with it is not read.
    request.resume();
    if (request.url?.split('?', 1)[0] !== METRICS_PATH) return refuse(404);
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, { allow: 'GET, HEAD' });
    try {
      const text = await metrics.scrape();
      response.writeHead(200, { 'content-type': metrics.contentType, 'cache-control': 'no-store' }).end(text);
    } catch (error) {
      logger.error({ err: error }, 'metrics scrape failed');
      refuse(500);
    }
  };

  const limits = { maxHeaderSize: HEADER_BYTES_MAX, requestTimeout: REQUEST_MS_MAX };
  const server = createServer({ ...limits, headersTimeout: REQUEST_MS_MAX }, (request, response) => {
    void answer(request, response);
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.listen(port);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  logger.info({ port: address.port }, 'metrics server listening');
  return {
    port: address.port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
