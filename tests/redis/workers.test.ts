/**
 * Workers as they are deployed: processes that share runs over Redis, and are stopped, killed, and
 * left without it, while every message is visible on LinkedIn once.
 */
import { isEnded, type Run } from '@revos/core/jobs';
import { describe, expect, test, vi } from 'vitest';
import {
  type AppProcess,
  queueCampaign,
  runOf,
  startWorkerStack,
  trigger,
  type WorkerStack,
} from './worker-stack.ts';

const WAIT_MS_MAX = 120_000;

interface Deployed {
  readonly stack: WorkerStack;
  readonly api: Awaited<ReturnType<WorkerStack['startApi']>>;
}

// Each has one of its own: what a killed worker had in flight would still be held in the next one's run.
const it = test.extend<Deployed>({
  // biome-ignore lint/correctness/noEmptyPattern: Vitest reads there what a fixture needs.
  stack: async ({}, use) => {
    const stack = await startWorkerStack({ min: 200, max: 300 });
    await use(stack);
    await stack.close();
  },
  api: async ({ stack }, use) => use(await stack.startApi()),
});

const startWorkers = (
  stack: WorkerStack,
  count: number,
  env: Readonly<Record<string, string>> = {},
): Promise<AppProcess[]> => Promise.all(Array.from({ length: count }, () => stack.startWorker(env)));

const eventually = <Answer>(look: () => Promise<Answer> | Answer): Promise<Answer> =>
  vi.waitFor(look, { timeout: WAIT_MS_MAX, interval: 200 });

const ended = ({ rpc }: WorkerStack, id: string): Promise<Run> =>
  eventually(async () => {
    const run = await rpc.call<Run>('run_get', { id });
    expect(isEnded(run)).toBe(true);
    return run;
  });

/** What LinkedIn shows of a campaign. */
const visible = ({ world }: WorkerStack, texts: readonly string[]): string[] => {
  const wanted = new Set(texts);
  return world
    .effects({ kind: 'message' })
    .map(({ text }) => text)
    .filter((text) => wanted.has(text));
};

const onceEach = (stack: WorkerStack, texts: readonly string[]): void => {
  expect(visible(stack, texts).sort()).toEqual([...texts].sort());
};

/** Who sent them, by the ledger: the process ids. */
const sentBy = async ({ query }: WorkerStack, texts: readonly string[]): Promise<Set<number>> => {
  const rows = await query(
    `select distinct split_part(attempt.worker, ':', 2)::int as pid
     from public.dm_attempts as attempt join public.dm_queue as message on message.id = attempt.message_id
     where message.message = any ($1)`,
    [texts],
  );
  return new Set(rows.map(({ pid }) => Number(pid)));
};

/** The processes that have the run's slices now. */
const holders = async ({ query }: WorkerStack, { id }: Run): Promise<number[]> =>
  (
    await query(
      `select split_part(worker, ':', 2)::int as pid from public.run_slices
       where run_id = $1 and status = 'running' order by slice`,
      [id],
    )
  ).map(({ pid }) => Number(pid));

describe.concurrent('a run', () => {
  it('is shared by three workers: every message once, and all of them sent some', async ({ stack, api }) => {
    // One slice each: who could take several would be first at two of them, on a good day.
    const workers = await startWorkers(stack, 3, { WORKER_CONCURRENCY: '1' });
    const texts = await queueCampaign(stack, 'shared', { accounts: 30, messages: 10 });
    const { id } = await runOf(await trigger(api.url));
    const run = await ended(stack, id);
    expect(run).toMatchObject({ status: 'succeeded', stats: { sent: 300, eligible: 300, due: 300 } });
    onceEach(stack, texts);
    expect(await sentBy(stack, texts)).toEqual(new Set(workers.map(({ pid }) => pid)));
  }, 180_000);

  it('a worker that is stopped gives its slice back: another goes on with it at once', async ({
    stack,
    api,
  }) => {
    const workers = await startWorkers(stack, 2);
    const policy = { gap_min_s: 15, gap_max_s: 15 };
    const texts = await queueCampaign(stack, 'stopped', { accounts: 20, messages: 4, policy });
    const run = await runOf(await trigger(api.url));
    await eventually(async () => expect(await holders(stack, run)).toHaveLength(2));
    await eventually(async () => expect((await sentBy(stack, texts)).size).toBe(2));
    const [leaving, staying] = workers as [AppProcess, AppProcess];
    expect(await leaving.stop()).toBe(0);
    expect(await stack.rpc.call<Run>('run_get', { id: run.id })).toMatchObject({ status: 'running' });
    const [heir] = (await startWorkers(stack, 1)) as [AppProcess];
    await eventually(async () =>
      expect((await holders(stack, run)).sort()).toEqual([staying.pid, heir.pid].sort()),
    );
    expect(await ended(stack, run.id)).toMatchObject({ status: 'succeeded', stats: { sent: 80 } });
    onceEach(stack, texts);
    expect(await sentBy(stack, texts)).toEqual(new Set([leaving.pid, staying.pid, heir.pid]));
  }, 180_000);

  it('a worker that is killed loses its slice to another, and nothing is sent twice', async ({
    stack,
    api,
  }) => {
    const [doomed, ...others] = (await startWorkers(stack, 3)) as [AppProcess, ...AppProcess[]];
    const heirs = others.map(({ pid }) => pid);
    // It lasts for minutes, and is cancelled as soon as what it is about was seen.
    const policy = { gap_min_s: 30, gap_max_s: 30 };
    const texts = await queueCampaign(stack, 'killed', { accounts: 12, messages: 8, policy });
    const run = await runOf(await trigger(api.url));
    await eventually(async () => expect(await holders(stack, run)).toHaveLength(3));
    await doomed.kill();
    // A third slice needs a third process: one of the two that have one already will not take it.
    const [third] = (await startWorkers(stack, 1)) as [AppProcess];
    await eventually(async () =>
      expect((await holders(stack, run)).sort()).toEqual([...heirs, third.pid].sort()),
    );
    await eventually(async () => expect([...(await sentBy(stack, texts))]).toContain(third.pid));
    await stack.rpc.call('run_cancel', { id: run.id, requested_by: 'ada' });
    expect(await ended(stack, run.id)).toMatchObject({ status: 'cancelled', error: 'cancelled by ada' });
    expect(new Set(visible(stack, texts)).size).toBe(visible(stack, texts).length);
  }, 240_000);

  it('Redis forgets everything, dies and comes back in mid-run: every message once', async ({
    stack,
    api,
  }) => {
    await startWorkers(stack, 2);
    const texts = await queueCampaign(stack, 'amnesia', { accounts: 20, messages: 10 });
    const run = await runOf(await trigger(api.url));
    await eventually(() => expect(visible(stack, texts).length).toBeGreaterThan(20));
    await stack.redis.flush();
    await eventually(() => expect(visible(stack, texts).length).toBeGreaterThan(60));
    await stack.redis.kill();
    await eventually(() => expect(visible(stack, texts).length).toBeGreaterThan(100));
    await stack.redis.restart();
    expect(await ended(stack, run.id)).toMatchObject({ status: 'succeeded', stats: { sent: 200 } });
    onceEach(stack, texts);
  }, 180_000);

  it('Redis is away when it is triggered: the jobs API works on it itself, and says so', async ({
    stack,
    api,
  }) => {
    await stack.redis.kill();
    const texts = await queueCampaign(stack, 'fallback', { accounts: 4, messages: 2 });
    const run = await runOf(await trigger(api.url));
    expect(await ended(stack, run.id)).toMatchObject({
      status: 'succeeded',
      stats: { sent: 8 },
      worker: expect.stringMatching(/^jobs-api@/),
    });
    onceEach(stack, texts);
    expect(api.lines.join('\n')).toContain('queue unavailable, running in this process');
    const ready = await fetch(`${api.url}/ready`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({
      status: 'ready',
      checks: expect.arrayContaining([expect.objectContaining({ name: 'redis', status: 'failed' })]),
    });
  }, 120_000);
});

describe.concurrent('a worker alone', () => {
  it('with a clock of its own does everything, without Redis and without the jobs API', async ({ stack }) => {
    const texts = await queueCampaign(stack, 'alone', { accounts: 2, messages: 2 });
    const worker = await stack.startWorker({
      JOB_ENGINE: 'in-process',
      SCHEDULER: 'internal',
      JOB_SCHEDULES: 'dm-queue=* * * * * *;post-scheduler=0 0 1 1 *;reconcile=0 0 1 1 *;analytics=0 0 1 1 *',
    });
    await eventually(() => onceEach(stack, texts));
    expect(await worker.stop()).toBe(0);
  }, 120_000);

  it('with nobody to trigger it does not start', async ({ stack }) => {
    await expect(stack.startWorker({ JOB_ENGINE: 'in-process' })).rejects.toThrow(
      'The worker does not start. With JOB_ENGINE=in-process nobody can give it work: set SCHEDULER=internal.',
    );
  }, 120_000);
});
