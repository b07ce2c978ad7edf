/**
 * A TCP proxy that can be cut: between the jobs API and what it calls.
 *
 * While nothing is cut it hands on bytes, ends and resets. What a cut has swallowed cannot be made up for, so
 * at its end every connection that it touched is reset, as by a router that has forgotten it.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * `reset`: every connection, at once. `black-hole`: nothing passes, in either direction, not even an end.
 * `lost-answers`: requests arrive, and their answers do not. `refused`: new connections are.
 */
export type CutKind = 'reset' | 'black-hole' | 'lost-answers' | 'refused';

export interface TcpProxy {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Cuts for that long, and resolves to how many connections were touched. One cut at a time. */
  cut(kind: CutKind, lastsMs: number): Promise<number>;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
}

/** @param targetUrl where to, `http://host:port` */
export async function startProxy(targetUrl: string): Promise<TcpProxy> {
  const target = new URL(targetUrl);
  const pairs = new Set<Pair>();
  let passing: 'all' | 'requests' | 'nothing' = 'all';
  /** Connections that the cut under way has touched. */
  let touched = new Set<Pair>();

  const drop = (pair: Pair): void => {
    pairs.delete(pair);
    for (const socket of [pair.client, pair.upstream]) if (!socket.destroyed) socket.resetAndDestroy();
  };
  /** Hands on that one side has ended; a black hole does not. */
  const onEnd = (pair: Pair, other: Socket, error: Error | undefined): void => {
    if (passing === 'nothing') return;
    pairs.delete(pair);
    if (error) other.resetAndDestroy();
    else other.destroySoon();
  };
  const join = (pair: Pair, from: Socket, to: Socket, passes: () => boolean): void => {
    let failure: Error | undefined;
    from.on('data', (chunk) => {
      if (passes() && !to.destroyed) to.write(chunk);
    });
    from.on('error', (error) => {
      failure = error;
    });
    from.on('close', () => onEnd(pair, to, failure));
  };

  const server = createServer((client) => {
    const pair = { client, upstream: connect(Number(target.port), target.hostname) };
    pairs.add(pair);
    if (passing !== 'all') touched.add(pair);
    join(pair, client, pair.upstream, () => passing !== 'nothing');
    join(pair, pair.upstream, client, () => passing === 'all');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const swallow = async (what: 'requests' | 'nothing', lastsMs: number): Promise<void> => {
    passing = what;
    await wait(lastsMs);
    passing = 'all';
  };
  const refuse = async (lastsMs: number): Promise<void> => {
    // Those that are open go on.
    touched = new Set();
    server.close();
    await wait(lastsMs);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };

  return {
    url: `http://127.0.0.1:${port}`,
    async cut(kind, lastsMs) {
      touched = new Set(pairs);
      if (kind === 'refused') await refuse(lastsMs);
      else if (kind !== 'reset') await swallow(kind === 'black-hole' ? 'nothing' : 'requests', lastsMs);
      for (const pair of touched) drop(pair);
      return touched.size;
    },
    async close() {
      for (const pair of pairs) drop(pair);
      server.close();
      await once(server, 'close');
    },
  };
}
