/**
 * The same messages to the same stand-in, by this project and by what one would use instead.
 *
 * Each takes part as a process of its own, on a fresh database, and only one at a time; they take
 * turns, so that a machine that slows down slows down all of them. Counted is what the stand-in was
 * asked, and what stands as sent.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type LocalPostgres, startPostgres } from '@revos/local-stack';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { type Child, startChild } from '../support/child.ts';
import type { Order, Result } from './contestant.ts';
import { cpuTimeOf } from './cpu-time.ts';
import { countSent, createQueue, createTemplates, type QueueKind } from './queues.ts';
import { type Column, describeMachine, median, table } from './report.ts';
import { startRest } from './rest.ts';
import type { StandInReady, StandInTally } from './stand-in.ts';

const CONCURRENCY = 100;

interface Entry {
  /** Of its file in `contestants/`. */
  readonly name: string;
  readonly title: string;
  readonly queue: QueueKind | null;
  readonly needs: 'rest' | 'redis' | null;
  /** Sends one after the other: it is given fewer, since it would take all day. */
  readonly isSequential: boolean;
}

const entry = (name: string, title: string, rest: Partial<Entry> = {}): Entry => ({
  ...{ name, title, queue: 'plain', needs: null, isSequential: false },
  ...rest,
});

const ENTRIES: readonly Entry[] = [
  entry('raw', 'undici alone', { queue: null }),
  entry('naive', 'loop over supabase-js', { needs: 'rest', isSequential: true }),
  entry('graphile-worker', 'Graphile Worker'),
  entry('pg-boss', 'pg-boss'),
  entry('bullmq', 'BullMQ', { needs: 'redis' }),
  entry('least-ledger', 'the least ledger'),
  entry('revos-rest', 'this project, REST API', { queue: 'revos', needs: 'rest' }),
  entry('revos-direct', 'this project, DATABASE_URL', { queue: 'revos' }),
];

interface Provider {
  readonly title: string;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Of all messages. */
  readonly share: number;
  /** Of all messages, for those that send one after the other. */
  readonly sequentialShare: number;
}

const PROVIDERS: readonly Provider[] = [
  { title: 'at once', delayMsMin: 0, delayMsMax: 0, share: 1, sequentialShare: 0.1 },
  { title: '100–300 ms', delayMsMin: 100, delayMsMax: 300, share: 0.5, sequentialShare: 0.01 },
];

interface Measurement {
  readonly perSecond: number;
  readonly cpuMsPerMessage: number;
  /** Of the database, and of the REST API or Redis. */
  readonly behindMsPerMessage: number | null;
  readonly atOnceMax: number;
}

interface Ground {
  readonly server: LocalPostgres;
  readonly redis: RedisServer | null;
  readonly standIn: Child;
  readonly unipileUrl: string;
  /** Where each leaves a profile of its processor time. */
  readonly profiles: string | undefined;
}

let databases = 0;

async function measure(subject: Entry, messageCount: number, ground: Ground): Promise<Measurement> {
  const { server, redis, standIn, unipileUrl, profiles } = ground;
  const name = `bench_${++databases}`;
  const databaseUrl =
    subject.queue === null ? '' : await createQueue(server, subject.queue, name, messageCount);
  const rest = subject.needs === 'rest' ? await startRest(databaseUrl) : null;
  const order: Order = {
    ...{ unipileUrl, databaseUrl, messageCount },
    rest: rest?.ready ?? null,
    redisUrl: subject.needs === 'redis' ? (redis?.url ?? null) : null,
    concurrency: CONCURRENCY,
  };
  const child = startChild(
    'bench/contestant-process.ts',
    profiles === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${name}-${subject.name}.cpuprofile`],
  );
  await child.ask({ name: subject.name, order });

  const pids = [
    ...(subject.queue === null ? [] : [server.pid() ?? 0]),
    ...(rest === null ? [] : [rest.child.pid]),
    ...(order.redisUrl === null || redis === null ? [] : [redis.pid()]),
  ];
  const before = pids.map(cpuTimeOf);
  const { ms, cpuMs } = await child.ask<Result>({});
  const behind = pids.map((pid, index) => {
    const [now, then] = [cpuTimeOf(pid), before[index]];
    return now === null || then === null || then === undefined ? null : now - then;
  });
  await child.end();
  await rest?.child.end();

  const { calls, atOnceMax } = await standIn.ask<StandInTally>({});
  if (calls !== messageCount)
    throw new Error(`${subject.title} made ${calls} calls for ${messageCount} messages`);
  const sent = databaseUrl === '' ? messageCount : await countSent(databaseUrl);
  if (sent !== messageCount) throw new Error(`${subject.title} left ${sent} of ${messageCount} as sent`);
  return {
    perSecond: messageCount / (ms / 1_000),
    cpuMsPerMessage: cpuMs / messageCount,
    behindMsPerMessage: behind.includes(null)
      ? null
      : behind.reduce<number>((sum, each) => sum + (each ?? 0), 0) / messageCount,
    atOnceMax,
  };
}

async function compare(
  provider: Provider,
  subjects: readonly Entry[],
  options: { readonly messages: number; readonly rounds: number },
  parts: Pick<Ground, 'server' | 'redis' | 'profiles'>,
): Promise<void> {
  const standIn = startChild('bench/stand-in.ts');
  const { url: unipileUrl } = await standIn.ask<StandInReady>(provider);
  const found = new Map<Entry, Measurement[]>(subjects.map((subject) => [subject, []]));
  for (let round = 0; round < options.rounds; round += 1) {
    // Another one begins each time.
    const turn = [...subjects.slice(round % subjects.length), ...subjects.slice(0, round % subjects.length)];
    for (const subject of turn) {
      const share = subject.isSequential ? provider.sequentialShare : provider.share;
      const cpuBefore = cpuTimeOf(standIn.pid);
      const count = Math.max(Math.round(options.messages * share), 1);
      const measurement = await measure(subject, count, { ...parts, standIn, unipileUrl });
      const cpuAfter = cpuTimeOf(standIn.pid);
      found.get(subject)?.push(measurement);
      const standInMs =
        cpuBefore === null || cpuAfter === null ? '?' : ((cpuAfter - cpuBefore) / count).toFixed(3);
      process.stderr.write(
        `${provider.title}, round ${round + 1}: ${subject.title}: ${measurement.perSecond.toFixed(0)}/s, ` +
          `at once ${measurement.atOnceMax}, stand-in ${standInMs} ms of processor a message\n`,
      );
    }
  }
  await standIn.end();
  process.stdout.write(`\n### Unipile answers ${provider.title}\n\n${tableOf(found)}\n`);
}

function tableOf(found: ReadonlyMap<Entry, readonly Measurement[]>): string {
  const rawOf = [...found].find(([{ name }]) => name === 'raw')?.[1] ?? [];
  const columns: Column<[Entry, readonly Measurement[]]>[] = [
    { head: 'What', cell: ([{ title }]) => title },
    { head: 'messages/s', cell: ([, all]) => median(all.map(({ perSecond }) => perSecond)).toFixed(0) },
    {
      // Round by round, as the machine was then.
      head: 'of undici alone',
      cell: ([, all]) =>
        median(
          all.map(({ perSecond }, round) => perSecond / (rawOf[round]?.perSecond ?? Number.NaN)),
        ).toFixed(3),
    },
    {
      head: 'ms of processor a message',
      cell: ([, all]) => median(all.map(({ cpuMsPerMessage }) => cpuMsPerMessage)).toFixed(2),
    },
    {
      head: 'behind it',
      cell: ([{ queue }, all]) =>
        queue === null
          ? '–'
          : median(all.map(({ behindMsPerMessage }) => behindMsPerMessage ?? Number.NaN)).toFixed(2),
    },
  ];
  return table(columns, [...found]);
}

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    provider: { type: 'string' },
    profiles: { type: 'string' },
  },
});
const subjects = ENTRIES.filter(
  ({ name }) => values.only === undefined || values.only.split(',').includes(name),
);
const server = await startPostgres({ durable: true });
const folder = await mkdtemp(path.join(tmpdir(), 'bench-redis-'));
const redis = subjects.some(({ needs }) => needs === 'redis') ? await startRedis({ folder }) : null;
try {
  await createTemplates(server);
  process.stdout.write(`${describeMachine()}\n`);
  for (const [index, provider] of PROVIDERS.entries()) {
    if (values.provider !== undefined && values.provider !== String(index)) continue;
    const options = { messages: Number(values.messages), rounds: Number(values.rounds) };
    await compare(provider, subjects, options, { server, redis, profiles: values.profiles });
  }
} finally {
  await redis?.kill();
  await rm(folder, { recursive: true, force: true });
  await server.stop();
}
