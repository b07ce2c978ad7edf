/**
 * What a run keeps in memory by how far it is: `npm run bench -- run-memory [messages]`. The
 * process sends over `DATABASE_URL`, and its garbage is collected before each look, so that what is
 * left is what it holds on to.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startPostgres } from '@revos/local-stack';
import { startChild } from '../support/child.ts';
import { openDirect } from './direct.ts';
import { countSent, createQueue, createTemplates } from './queues.ts';
import { describeMachine, table } from './report.ts';
import { enterWith } from './revos.ts';
import type { StandInReady } from './stand-in.ts';

const CONCURRENCY = 100;
const LOOK_MS = 500;
const SHARES = [0.1, 0.25, 0.5, 0.75, 1];
const MEGABYTE = 2 ** 20;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface Look {
  readonly sent: number;
  readonly heapMb: number;
  readonly rssMb: number;
}

const messageCount = Number(process.argv[2] ?? 40_000);
const server = await startPostgres({ durable: true });
const standIn = startChild('bench/stand-in.ts');
try {
  await createTemplates(server);
  const databaseUrl = await createQueue(server, 'revos', 'memory', messageCount);
  const { url } = await standIn.ask<StandInReady>({ delayMsMin: 0, delayMsMax: 0 });
  const rpc = openDirect(databaseUrl);
  const race = await enterWith(rpc, {
    ...{ unipileUrl: url, databaseUrl, rest: null, redisUrl: null },
    ...{ messageCount, concurrency: CONCURRENCY },
  });
  const looks: Look[] = [];
  const look = async (): Promise<void> => {
    const sent = await countSent(databaseUrl);
    collectGarbage();
    const { heapUsed, rss } = process.memoryUsage();
    looks.push({ sent, heapMb: heapUsed / MEGABYTE, rssMb: rss / MEGABYTE });
  };
  let isOver = false;
  const running = race().finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await Promise.race([wait(LOOK_MS), running]);
    await look();
  }
  await running;
  await rpc.close();
  const rows = SHARES.map((share) => looks.find(({ sent }) => sent >= share * messageCount)).filter(
    (row) => row !== undefined,
  );
  const columns = [
    { head: 'messages sent', cell: ({ sent }: Look) => sent.toLocaleString('en') },
    { head: 'heap in use, MB', cell: ({ heapMb }: Look) => heapMb.toFixed(1) },
    { head: 'of the process, MB', cell: ({ rssMb }: Look) => rssMb.toFixed(0) },
  ];
  process.stdout.write(`${describeMachine()}\n\n${table(columns, rows)}\n`);
} finally {
  await standIn.end();
  await server.stop();
}
process.exit(0);
