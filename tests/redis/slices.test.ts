/**
 * Slices over a real Redis, in several processes' worth of engines and workers: who takes what, in
 * which order, and what becomes of a run whose queue is emptied, restarted, or away.
 */
import type { JobDefinition, JobHandler, Run, RunParams } from '@revos/core/jobs';
import { createRunStore, createRuns, EngineUnavailable, type RunStore, type Runs } from '@revos/core/jobs';
import { type Bullmq, createBullmq } from '@revos/core/jobs/engines/bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { hurriedEffects, untilStopped } from '../../packages/core/test/jobs/engines/engine-suite.ts';
import { databaseForFile } from '../../packages/core/test/support/database.ts';
import { createGate, type Gate } from '../../packages/core/test/support/gate.ts';
import { DEFAULT_SETTINGS, jobOf, noMedia, noUnipile } from '../../packages/core/test/support/jobs.ts';
import { type CapturedLog, captureLog } from '../../packages/core/test/support/log.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

const WAIT_MS_MAX = 40_000;

const db = databaseForFile();
let redis: RedisServer;
let store: RunStore;
let gate: Gate;
let opened: Process[];

interface Process {
  readonly bullmq: Bullmq;
  readonly runs: Runs;
  readonly log: CapturedLog;
  /** As a worker, and whatever else it is. */
  work(): void;
  close(graceMs?: number): Promise<boolean>;
}

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.kill());
beforeEach(() => {
  store = createRunStore(db.rpc);
  gate = createGate();
  opened = [];
});
afterEach(async () => {
  gate.open();
  await redis.ensure();
  await Promise.all(opened.map((process) => process.close()));
  await redis.flush();
});

interface ProcessOptions {
  readonly slicesPerRun?: number;
  readonly fallback?: 'in-process' | 'none';
  readonly concurrency?: number;
}

function open(name: string, jobs: readonly JobDefinition[], options: ProcessOptions = {}): Process {
  const log = captureLog();
  const services = {
    effects: hurriedEffects,
    rpc: db.rpc,
    unipile: noUnipile,
    media: noMedia,
    settings: DEFAULT_SETTINGS,
    logger: log.logger,
    worker: name,
    sendConcurrency: 10,
  };
  const bullmq = createBullmq(jobs, store, services, {
    ...{ redisUrl: redis.url, slicesPerRun: 3, fallback: 'none', concurrency: 4 },
    ...options,
  });
  let worker: ReturnType<Bullmq['startWorker']> | undefined;
  let closing: Promise<boolean> | undefined;
  const ending = new AbortController();
  const process: Process = {
    bullmq,
    runs: createRuns(store, bullmq.engine, hurriedEffects),
    log,
    work() {
      worker = bullmq.startWorker();
      void bullmq.keepSubmitted(ending.signal);
    },
    close(graceMs = 10_000) {
      ending.abort();
      closing ??= (worker ?? bullmq.engine).close(graceMs).finally(() => bullmq.disconnect());
      return closing;
    },
  };
  opened.push(process);
  return process;
}

/** A job that every process may share, and what was done of it: `worker/slice`, in order. */
function sliced(handler: (worker: string, ...context: Parameters<JobHandler>) => ReturnType<JobHandler>) {
  const begun: string[] = [];
  const job: JobDefinition = {
    ...jobOf(async (context, services) => {
      begun.push(`${services.worker}/${context.slice}`);
      return handler(services.worker, context, services);
    }),
    isSliced: true,
  };
  return { job, begun };
}

const trigger = async (
  { runs }: Process,
  job: JobDefinition,
  over: { params?: RunParams; priority?: number; slot?: Date } = {},
): Promise<Run> => {
  const { slot = null, ...told } = over;
  const { run } = await runs.start({
    ...{ job, scheduledFor: slot, trigger: slot === null ? 'ops' : 'vercel-cron', requestedBy: 'ada' },
    ...told,
  });
  return run;
};

const ended = ({ runs }: Process, run: Run): Promise<Run> =>
  runs.waitForEnd(run, WAIT_MS_MAX, new AbortController().signal);

const eventually = (look: () => unknown): Promise<unknown> =>
  vi.waitFor(look, { timeout: WAIT_MS_MAX, interval: 50 });

describe('a run in slices', () => {
  it('is shared by all processes, one slice each; its stats are what all did', async () => {
    const { job, begun } = sliced(async (_worker, { report, slice }) => {
      report({ sent: slice + 1 });
      await gate.passed;
      return { sent: 10 * (slice + 1), due: 5 };
    });
    const [a, b, c] = ['a', 'b', 'c'].map((name) => open(name, [job])) as [Process, Process, Process];
    for (const process of [a, b, c]) process.work();
    const run = await trigger(a, job);
    await eventually(() => expect(begun).toHaveLength(3));
    expect(new Set(begun.map((taken) => taken.split('/')[0])).size).toBe(3);
    expect(new Set(begun.map((taken) => taken.split('/')[1])).size).toBe(3);
    // Anybody sees how far all of them are.
    await eventually(async () => expect((await b.runs.get(run.id))?.stats.sent).toBe(6));
    gate.open();
    expect(await ended(c, run)).toMatchObject({ status: 'succeeded', stats: { sent: 60, due: 5 } });
  });

  it('a process has one slice of it, the others wait and come to nothing; other runs go on beside it', async () => {
    const { job, begun } = sliced(async () => {
      await gate.passed;
      return {};
    });
    const other = jobOf(async () => ({ sent: 1 }), '0 0 * * *', 'other-job');
    const alone = open('alone', [job, other], { concurrency: 2 });
    alone.work();
    const run = await trigger(alone, job);
    await eventually(async () =>
      expect(await alone.bullmq.queue.getJobCounts('active', 'delayed')).toEqual({ active: 1, delayed: 2 }),
    );
    expect(await ended(alone, await trigger(alone, other))).toMatchObject({ status: 'succeeded' });
    gate.open();
    expect(await ended(alone, run)).toMatchObject({ status: 'succeeded' });
    await eventually(async () =>
      expect(await alone.bullmq.queue.getJobCounts('active', 'delayed', 'prioritized', 'waiting')).toEqual({
        ...{ active: 0, delayed: 0, prioritized: 0, waiting: 0 },
      }),
    );
    expect(begun).toHaveLength(1);
  });

  it.each<{ what: string; isSliced: boolean; params?: RunParams; slices: number }>([
    { what: 'of a job that can be shared', isSliced: true, slices: 5 },
    { what: 'for some accounts', isSliced: true, params: { account_ids: [crypto.randomUUID()] }, slices: 5 },
    { what: 'that only looks', isSliced: true, params: { dry_run: true }, slices: 1 },
    { what: 'that is counted', isSliced: true, params: { limit: 3 }, slices: 1 },
    { what: 'of a job that cannot be shared', isSliced: false, slices: 1 },
  ])('a run $what has $slices', async ({ isSliced, params = {}, slices }) => {
    const job = { ...jobOf(async () => ({})), isSliced };
    const api = open('api', [job], { slicesPerRun: 5 });
    const run = await trigger(api, job, { params });
    const queued = await api.bullmq.queue.getJobs();
    // Ids, and nothing else of what the run was told.
    expect(
      queued
        .map(({ id, name, data }) => ({ id, name, data }))
        .sort((a, b) => (a.id ?? '').localeCompare(b.id ?? '')),
    ).toEqual(
      Array.from({ length: slices }, (_, slice) => ({
        ...{ id: `${run.id}-${slice}`, name: job.name, data: { run_id: run.id, slice } },
      })),
    );
  });

  it('is taken up by priority, what people asked for first', async () => {
    const order: string[] = [];
    const names = ['low', 'middle', 'high', 'asked', 'asked-urgently'];
    const jobs = names.map((name) =>
      jobOf(
        async () => {
          order.push(name);
          return {};
        },
        '*/15 * * * *',
        name,
      ),
    );
    const [low, middle, high, asked, urgent] = jobs as [JobDefinition, ...JobDefinition[]] as JobDefinition[];
    const slot = new Date(Math.floor(Date.now() / 900_000) * 900_000);
    const api = open('api', jobs, { concurrency: 1 });
    const runs = [
      await trigger(api, low as JobDefinition, { slot }),
      await trigger(api, { ...(middle as JobDefinition), priority: 5 }, { slot }),
      await trigger(api, asked as JobDefinition, { priority: 0 }),
      await trigger(api, high as JobDefinition, { slot, priority: 9 }),
      await trigger(api, urgent as JobDefinition, { priority: 1 }),
    ];
    api.work();
    for (const run of runs) await ended(api, run);
    expect(order).toEqual(['asked-urgently', 'asked', 'high', 'middle', 'low']);
  });

  it('given back by a process that ends, is taken up by another, which goes on counting', async () => {
    const seen: unknown[] = [];
    const { job, begun } = sliced(async (worker, context, services) => {
      seen.push(context.run.stats);
      if (worker === 'first') return untilStopped({ sent: 2 })(context, services);
      return { sent: (context.run.stats.sent ?? 0) + 3 };
    });
    const first = open('first', [job], { slicesPerRun: 1 });
    const run = await trigger(first, job);
    first.work();
    await eventually(() => expect(begun).toEqual(['first/0']));
    const second = open('second', [job], { slicesPerRun: 1 });
    expect(await first.close()).toBe(true);
    second.work();
    expect(await ended(second, run)).toMatchObject({
      status: 'succeeded',
      stats: { sent: 5 },
      worker: 'first',
    });
    expect(begun).toEqual(['first/0', 'second/0']);
    expect(seen).toEqual([{}, { sent: 2 }]);
  });
});

describe('a Redis that forgets', () => {
  it('in mid-run: the run goes on, nobody takes a slice that is worked on, and what was not is offered again', async () => {
    const { job, begun } = sliced(async () => {
      await gate.passed;
      return { sent: 1 };
    });
    const a = open('a', [job], { slicesPerRun: 2 });
    a.work();
    const run = await trigger(a, job);
    await eventually(() => expect(begun).toHaveLength(1));
    await redis.flush();
    const b = open('b', [job], { slicesPerRun: 2 });
    b.work();
    await eventually(() => expect(begun).toHaveLength(2));
    expect(new Set(begun.map((taken) => taken.split('/')[1])).size).toBe(2);
    // Offered by force, the slice of the other is refused.
    await b.bullmq.engine.submit(run);
    gate.open();
    expect(await ended(a, run)).toMatchObject({ status: 'succeeded', stats: { sent: 2 } });
    expect(begun).toHaveLength(2);
  });

  it('a run that nobody had taken up: it is told again', async () => {
    const { job, begun } = sliced(async () => ({ sent: 1 }));
    const api = open('api', [job], { slicesPerRun: 1 });
    const run = await trigger(api, job);
    await redis.flush();
    await db.query(`update public.job_runs set requested_at = requested_at - interval '10 seconds'`, []);
    open('worker', [job]).work();
    expect(await ended(api, run)).toMatchObject({ status: 'succeeded' });
    // Which of its slices a process begins is open: it is offered all of them at once.
    expect(begun).toHaveLength(1);
  });
});

describe('a Redis that is away', () => {
  it('in mid-run: the run comes to its end without it, and afterwards the worker takes the next', async () => {
    const { job, begun } = sliced(async () => {
      await gate.passed;
      return { sent: 1 };
    });
    const worker = open('worker', [job], { slicesPerRun: 1 });
    worker.work();
    const run = await trigger(worker, job);
    await eventually(() => expect(begun).toHaveLength(1));
    await redis.kill();
    await eventually(() => expect(worker.log.messages()).toContain('Redis unavailable'));
    gate.open();
    expect(await ended(worker, run)).toMatchObject({ status: 'succeeded', stats: { sent: 1 } });
    await redis.restart();
    await eventually(() => expect(worker.log.messages()).toContain('Redis available again'));
    expect(await ended(worker, await trigger(worker, job))).toMatchObject({ status: 'succeeded' });
    expect(worker.log.messages().filter((message) => message === 'Redis unavailable')).toHaveLength(1);
  });

  it.each(['since it started', 'for a while'])(
    '%s, with a fallback: the run is worked on where it was triggered',
    async (since) => {
      const { job, begun } = sliced(async () => ({ sent: 1 }));
      const isFromStart = since === 'since it started';
      if (isFromStart) await redis.kill();
      const api = open('api', [job], { fallback: 'in-process' });
      if (!isFromStart) {
        expect(await api.bullmq.engine.isReachable()).toBe(true);
        await redis.kill();
      }
      const run = await trigger(api, job);
      expect(await ended(api, run)).toMatchObject({ status: 'succeeded', worker: 'api', stats: { sent: 1 } });
      expect(begun).toEqual(['api/0']);
      expect(api.log.messages()).toContain('queue unavailable, running in this process');
      expect(await api.bullmq.engine.isReachable()).toBe(false);

      await redis.restart();
      await eventually(async () => expect(await api.bullmq.engine.isReachable()).toBe(true));
      // What was sent to a Redis that was just gone may arrive now: it is refused, as its run has ended.
      const next = await trigger(api, job);
      await eventually(async () => {
        const waiting = (await api.bullmq.queue.getJobs()).map(({ data }) => data.run_id);
        expect(waiting.filter((id) => id === next.id)).toHaveLength(3);
      });
      expect(begun).toEqual(['api/0']);
    },
  );

  it('without a fallback: the trigger is told so, and the run is taken up once Redis is back', async () => {
    const { job, begun } = sliced(async () => ({ sent: 1 }));
    const api = open('api', [job]);
    const worker = open('worker', [job], { slicesPerRun: 1 });
    worker.work();
    await redis.kill();
    await expect(trigger(api, job)).rejects.toThrow(EngineUnavailable);
    const run = (await store.list({ limit: 1 })).items[0] as Run;
    expect(run).toMatchObject({ status: 'queued' });
    await db.query(`update public.job_runs set requested_at = requested_at - interval '10 seconds'`, []);
    await redis.restart();
    expect(await ended(api, run)).toMatchObject({ status: 'succeeded' });
    expect(begun).toEqual(['worker/0']);
  });

  it('a run that fell back is left to its process, and joined once Redis is back', async () => {
    const { job, begun } = sliced(async () => {
      await gate.passed;
      return { sent: 1 };
    });
    const api = open('api', [job], { fallback: 'in-process', slicesPerRun: 2 });
    const bystander = open('bystander', [job], { fallback: 'in-process', slicesPerRun: 2 });
    await redis.kill();
    const run = await trigger(api, job);
    await eventually(() => expect(begun).toEqual(['api/0']));
    await bystander.bullmq.engine.resubmit();
    expect(bystander.log.messages().join()).not.toContain('running in this process');
    bystander.work();
    await redis.restart();
    await eventually(() => expect(begun).toEqual(['api/0', 'bystander/1']));
    gate.open();
    expect(await ended(api, run)).toMatchObject({ status: 'succeeded', stats: { sent: 2 } });
  });

  it('does not hold up the end of a process', async () => {
    const { job, begun } = sliced(async (_worker, context, services) =>
      untilStopped({ sent: 2 })(context, services),
    );
    const worker = open('worker', [job], { slicesPerRun: 1 });
    worker.work();
    const run = await trigger(worker, job);
    await eventually(() => expect(begun).toHaveLength(1));
    await redis.kill();
    expect(await worker.close()).toBe(true);
    expect(await store.get(run.id)).toMatchObject({ status: 'running', stats: { sent: 2 } });
    await redis.restart();
    const heir = open('heir', [job], { slicesPerRun: 1 });
    heir.work();
    await eventually(() => expect(begun).toEqual(['worker/0', 'heir/0']));
  });
});
