/**
 * What every engine does with a run, whatever it is made of. In real time, since some of them need
 * a server.
 */
import { type Effects, realEffects } from '@revos/core/effects';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createRunStore,
  createRuns,
  type Engine,
  isEnded,
  type JobDefinition,
  type JobHandler,
  type JobServices,
  type Run,
  type RunStats,
  type RunStore,
  type Runs,
} from '../../../src/jobs/index.ts';
import type { TestDatabase } from '../../support/database.ts';
import { createGate, type Gate } from '../../support/gate.ts';
import { DEFAULT_SETTINGS, jobOf, noMedia, noUnipile } from '../../support/jobs.ts';
import { type CapturedLog, captureLog } from '../../support/log.ts';

/**
 * Waits of 3 s and more pass twenty times as fast: those between heartbeats, and before what failed
 * is tried again.
 */
const LONG_MS = 3_000;
export const hurriedEffects: Effects = {
  ...realEffects,
  sleep: (ms, signal) => realEffects.sleep(ms >= LONG_MS ? ms / 20 : ms, signal),
};

/** One process that triggers runs and works on them. */
export interface EngineProcess {
  readonly engine: Engine;
  /** Takes no more runs, and asks those under way to stop. */
  close(graceMs: number): Promise<boolean>;
}

export interface EngineUnderTest {
  readonly name: string;
  readonly database: TestDatabase;
  open(jobs: readonly JobDefinition[], store: RunStore, services: JobServices): Promise<EngineProcess>;
  /** What a run is after the process that worked on it was closed: it has ended, or waits for another. */
  readonly afterClose: Pick<Run, 'status' | 'error'>;
}

/** Works until it is stopped, and says what it did until then. */
export const untilStopped =
  (stats: RunStats, told: (reason: unknown) => void = () => {}): JobHandler =>
  async ({ signal, report }) => {
    report(stats);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    told(signal.reason);
    return stats;
  };

const WAIT_MS_MAX = 30_000;

export function describeEngine({ name, database, open, afterClose }: EngineUnderTest): void {
  describe(`the ${name} engine`, () => {
    let process: EngineProcess;
    let runs: Runs;
    let store: RunStore;
    let log: CapturedLog;
    let gate: Gate;
    let job: JobDefinition;

    beforeEach(() => {
      store = createRunStore(database.rpc);
      log = captureLog();
      gate = createGate();
    });
    afterEach(async () => {
      gate.open();
      await process.close(5_000);
    });

    const openFor = async (handler: JobHandler | JobDefinition): Promise<void> => {
      job = typeof handler === 'function' ? jobOf(handler) : handler;
      process = await open([job], store, {
        effects: hurriedEffects,
        rpc: database.rpc,
        unipile: noUnipile,
        media: noMedia,
        settings: DEFAULT_SETTINGS,
        logger: log.logger,
        worker: 'one@host:1',
        sendConcurrency: 10,
      });
      runs = createRuns(store, process.engine, hurriedEffects);
    };
    const start = async (): Promise<Run> =>
      (await runs.start({ job, trigger: 'ops', scheduledFor: null, requestedBy: 'ada' })).run;
    const ended = (run: Run): Promise<Run> => runs.waitForEnd(run, WAIT_MS_MAX, new AbortController().signal);
    /** The first change of the run that is as wanted. */
    const seen = async (run: Run, isWanted: (shown: Run) => boolean): Promise<Run> => {
      for await (const shown of runs.watch(run.id, AbortSignal.timeout(WAIT_MS_MAX))) {
        if (isWanted(shown)) return shown;
      }
      throw new Error('it was never seen');
    };

    it('works on a run to its end, and keeps its stats', async () => {
      await openFor(async () => ({ sent: 5, skipped: { gap: 2 }, next_at: null }));
      expect(await ended(await start())).toMatchObject({
        status: 'succeeded',
        stats: { sent: 5, skipped: { gap: 2 }, next_at: null },
        error: null,
        worker: 'one@host:1',
      });
    });

    it.each([
      { what: 'that throws', load: async () => async () => Promise.reject(new Error('the key is refused')) },
      { what: 'that does not load', load: async () => Promise.reject(new Error('the key is refused')) },
    ])('a handler $what: failed, with its message', async ({ load }) => {
      await openFor({ ...jobOf(async () => ({})), loadHandler: load });
      expect(await ended(await start())).toMatchObject({ status: 'failed', error: 'the key is refused' });
    });

    it('a run that is submitted again is worked on once', async () => {
      const handler = vi.fn<JobHandler>(async () => {
        await gate.passed;
        return { sent: 1 };
      });
      await openFor(handler);
      const run = await start();
      await process.engine.submit(run);
      await vi.waitFor(() => expect(handler).toHaveBeenCalled(), WAIT_MS_MAX);
      await process.engine.submit(run);
      gate.open();
      expect(await ended(run)).toMatchObject({ status: 'succeeded', stats: { sent: 1 } });
      await process.engine.submit(run);
      const next = await start();
      await ended(next);
      expect(handler.mock.calls.map(([context]) => context.run.id)).toEqual([run.id, next.id]);
    });

    it('shows the progress to whoever watches', async () => {
      await openFor(async ({ report }) => {
        report({ sent: 3 });
        await gate.passed;
        return { sent: 4 };
      });
      const run = await start();
      expect(await seen(run, ({ stats }) => stats.sent === 3)).toMatchObject({ status: 'running' });
      gate.open();
      expect(await seen(run, isEnded)).toMatchObject({ status: 'succeeded', stats: { sent: 4 } });
    });

    it('a run that is cancelled stops, and keeps what it did', async () => {
      await openFor(untilStopped({ sent: 2 }));
      const run = await start();
      await seen(run, ({ stats }) => stats.sent === 2);
      await runs.cancel(run.id, 'ada');
      expect(await ended(run)).toMatchObject({
        status: 'cancelled',
        stats: { sent: 2 },
        error: 'cancelled by ada',
      });
    });

    it('a run that was cancelled before anybody took it up is never begun', async () => {
      const handler = vi.fn<JobHandler>(async () => ({}));
      await openFor(handler);
      const { run } = await store.start({
        ...{ job: job.name, trigger: 'ops', scheduledFor: null, requestedBy: 'ada' },
        horizonAt: new Date(realEffects.now().getTime() + 60_000),
      });
      await runs.cancel(run.id, 'ada');
      await process.engine.submit(run);
      await ended(await start());
      expect(handler).toHaveBeenCalledTimes(1);
      expect(await store.get(run.id)).toMatchObject({ status: 'cancelled', started_at: null });
    });

    it('a slot that comes as a run is ending is worked on by it', async () => {
      let calls = 0;
      await openFor(async ({ run, horizonAt }) => {
        calls += 1;
        horizonAt();
        if (calls === 1) {
          const scheduledFor = new Date(Math.ceil(Date.now() / 900_000) * 900_000);
          await runs.start({ job, trigger: 'worker', scheduledFor, requestedBy: 'scheduler' });
        }
        return { sent: (run.stats.sent ?? 0) + 1 };
      });
      expect(await ended(await start())).toMatchObject({ status: 'succeeded', stats: { sent: 2 } });
    });

    it('a run that was given up on stops with its next heartbeat, and what it did still counts', async () => {
      const reasons: unknown[] = [];
      await openFor(untilStopped({ sent: 6 }, (reason) => reasons.push(reason)));
      const run = await start();
      await seen(run, ({ stats }) => stats.sent === 6);
      // Between two heartbeats nobody looks at it but us.
      await vi.waitFor(async () => {
        await database.query(
          `update public.job_runs set heartbeat_at = heartbeat_at - interval '2 minutes'`,
          [],
        );
        expect(await store.recover()).toBe(1);
      }, WAIT_MS_MAX);
      await vi.waitFor(() => expect(reasons).toEqual(['lost']), WAIT_MS_MAX);
      expect(await ended(run)).toMatchObject({ status: 'interrupted', stats: { sent: 6 } });
    });

    it('closing stops what is under way, in time, and keeps what it did', async () => {
      const reasons: unknown[] = [];
      await openFor(untilStopped({ sent: 7 }, (reason) => reasons.push(reason)));
      const run = await start();
      await seen(run, ({ stats }) => stats.sent === 7);
      expect(await process.close(20_000)).toBe(true);
      expect(reasons).toEqual(['shutdown']);
      expect(await store.get(run.id)).toMatchObject({ ...afterClose, stats: { sent: 7 } });
    });

    it('closing with nothing under way is at once', async () => {
      await openFor(async () => ({}));
      expect(await process.close(0)).toBe(true);
    });

    it('refuses a job that it does not know', async () => {
      await openFor(async () => ({}));
      const { run } = await store.start({
        ...{ job: 'no-such-job', trigger: 'ops', scheduledFor: null, requestedBy: 'ada' },
        horizonAt: new Date(),
      });
      await expect(process.engine.submit(run)).rejects.toThrow(RangeError);
    });

    it('a run that nobody works on here is neither shown nor stopped here', async () => {
      await openFor(async () => ({}));
      expect(process.engine.snapshot(realEffects.uuid())).toBeNull();
      expect(() => process.engine.cancel(realEffects.uuid())).not.toThrow();
    });
  });
}
