import { once } from 'node:events';

import { describe, expect, it } from 'vitest';

import { type FetchHandler, serveFetch } from '../src/serve-fetch.ts';

async function serving<T>(handler: FetchHandler, work: (url: string) => Promise<T>): Promise<T> {
  const server = await serveFetch(handler, 0);
  try {
    return await work(server.url);
  } finally {
    await server.close();
  }
}

describe('serveFetch', () => {
  it('hands on method, path, headers and body, and answers with status, headers and body', async () => {
    await serving(
      async (request, peer) => {
        const { pathname, search } = new URL(request.url);
        const headers = new Headers({ 'x-peer': String(peer) });
        headers.append('set-cookie', 'a=1');
        headers.append('set-cookie', 'b=2');
        const seen = `${request.method} ${pathname}${search} ${request.headers.get('x-test')} ${await request.text()}`;
        return new Response(seen, { status: 201, headers });
      },
      async (url) => {
        const answer = await fetch(`${url}/a/b?c=%20d`, {
          method: 'POST',
          headers: { 'x-test': 'on' },
          body: 'body 🦜',
        });
        expect(answer.status).toBe(201);
        expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
        expect(answer.headers.get('x-peer')).toBe('127.0.0.1');
        expect(await answer.text()).toBe('POST /a/b?c=%20d on body 🦜');
      },
    );
  });

  it('answers an error with 500, and tells nothing', async () => {
    const failing = () => Promise.reject(new Error('a secret'));
    await serving(failing, async (url) => {
      const answer = await fetch(url);
      expect(answer.status).toBe(500);
      expect(await answer.text()).not.toContain('secret');
    });
  });

  it('aborts the request when the client goes away', async () => {
    const asked = Promise.withResolvers<AbortSignal>();
    const hanging: FetchHandler = (request) => {
      asked.resolve(request.signal);
      return new Promise(() => {});
    };
    await serving(hanging, async (url) => {
      const client = new AbortController();
      const answer = fetch(url, { signal: client.signal }).catch(() => 'gone');
      const signal = await asked.promise;
      const aborted = signal.aborted
        ? undefined
        : once(signal, 'abort', { signal: AbortSignal.timeout(5_000) });
      client.abort();
      expect(await answer).toBe('gone');
      await aborted;
    });
  });

  it('closes under a call that never ends', async () => {
    const asked = Promise.withResolvers<void>();
    const server = await serveFetch(() => {
      asked.resolve();
      return new Promise(() => {});
    }, 0);
    const answer = fetch(server.url).catch(() => 'gone');
    await asked.promise;
    await server.close();
    expect(await answer).toBe('gone');
  });

  it('refuses a port that is taken', async () => {
    await serving(
      () => new Response(),
      async (url) => {
        await expect(serveFetch(() => new Response(), Number(new URL(url).port))).rejects.toMatchObject({
          code: 'EADDRINUSE',
        });
      },
    );
  });
});
