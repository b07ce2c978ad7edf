/** Following a run over connections that break off. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UnreachedError } from '../src/exit-codes.ts';
import { followRun } from '../src/follow-run.ts';
import { createProgress } from '../src/output/progress.ts';
import type { Run } from '../src/shapes.ts';
import { aRun } from './support/shapes.ts';

type Answer = (response: ServerResponse) => void;

const event = (run: Run): string => `id: 1\nevent: run\ndata: ${JSON.stringify(run)}\n\n`;

/** Says something, then breaks off. */
const says =
  (...runs: Run[]): Answer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`: heartbeat\n\n${runs.map(event).join('')}`, () => response.destroy());
  };

const refuses =
  (status: number, kind: string): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify({ type: `/problems/${kind}`, title: kind, status }));
  };

const hangsUp: Answer = (response) => response.destroy();

/**
 * Follows a run of a server that gives these answers, the last one for ever. Tells what was seen,
 * and the waits.
 */
async function follow(...answers: Answer[]) {
  let asked = 0;
  const server = createServer((_, response) => {
    const answer = answers[Math.min(asked, answers.length - 1)] ?? hangsUp;
    asked += 1;
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const seen: string[] = [];
  const waitsMs: number[] = [];
  const connection = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: 'token',
  };
  const result = await followRun(connection, aRun().id, {
    signal: new AbortController().signal,
    onRun: (run) => seen.push(`${run.status} ${run.stats.sent ?? 0}`),
    sleep: async (ms) => {
      waitsMs.push(ms);
    },
  }).catch((error: unknown) => error);
  return { result, seen, waitsMs };
}

const running = (sent: number): Run => aRun({ status: 'running', stats: { sent } });
const done = aRun({ status: 'succeeded', stats: { sent: 3 } });

describe('followRun', () => {
  it('does not follow a redirect with its token', async () => {
    const { result, seen } = await follow((response) => {
      if (response.req.url?.startsWith('/elsewhere') === true) return says(done)(response);
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect(result).toMatchObject({ name: 'JobsApiError', kind: 'not-understood', status: 307 });
    expect(seen).toEqual([]);
  });

  it('gives up a line without end', async () => {
    const { result } = await follow((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const megabyte = 'x'.repeat(1_048_576);
      const more = (): void => {
        while (!response.destroyed) {
          if (!response.write(megabyte)) return void response.once('drain', more);
        }
      };
      response.write('data: ');
      more();
    });
    expect(result).toMatchObject({ name: 'UnreachedError' });
  });

  it('goes on after a connection that broke off, and sees the end', async () => {
    const { result, seen, waitsMs } = await follow(
      says(running(1)),
      hangsUp,
      refuses(503, 'shutting-down'),
      says(running(2)),
      says(done),
    );
    expect(result).toEqual(done);
    expect(seen).toEqual(['running 1', 'running 2', 'succeeded 3']);
    // An event makes the waits short again.
    expect(waitsMs).toEqual([250, 500, 1_000, 250]);
  });

  it('gives up after ten connections that bring nothing', async () => {
    const { result, waitsMs } = await follow(hangsUp);
    expect(result).toBeInstanceOf(UnreachedError);
    expect(waitsMs).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  });

  it.each([
    { status: 404, kind: 'run-not-found' },
    { status: 401, kind: 'unauthenticated' },
  ])('does not ask again what is refused with $status', async ({ status, kind }) => {
    const { result, waitsMs } = await follow(refuses(status, kind));
    expect(result).toMatchObject({ status, kind });
    expect(waitsMs).toEqual([]);
  });

  it('tells a page from events', async () => {
    const page: Answer = (response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Hi</h1>');
    expect((await follow(page)).result).toBeInstanceOf(UnreachedError);
  });
});

describe('the progress of a run', () => {
  const written = async (isTTY: boolean, ...runs: Run[]): Promise<string> => {
    const stream = Object.assign(new PassThrough(), { isTTY, columns: 120 });
    const progress = createProgress(stream);
    for (const run of runs) progress.show(run);
    progress.end();
    stream.end();
    return text(stream);
  };
  const counted = (status: Run['status'], sent: number): Run => aRun({ status, stats: { due: 4, sent } });

  it('is a line for each change where there is no terminal', async () => {
    const runs = [
      aRun({ status: 'queued' }),
      counted('running', 1),
      counted('running', 1),
      counted('succeeded', 4),
    ];
    expect(await written(false, ...runs)).toBe(
      'queued\n1/4  running: 1 sent, 0 failed, 0 unknown\n4/4  succeeded: 4 sent, 0 failed, 0 unknown\n',
    );
  });

  it('is a bar on a terminal, which is full at its end', async () => {
    const shown = await written(
      true,
      aRun({ status: 'queued' }),
      counted('running', 1),
      counted('succeeded', 4),
    );
    expect(shown).toMatch(/░{24} 0\/0 {2}queued/);
    expect(shown).toMatch(/█{24} 4\/4 {2}succeeded: 4 sent/);
  });
});
