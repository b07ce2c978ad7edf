/** Slices of a run: who holds one, what they come to together, and when the last of them ends the run. */
import type { Run, SliceState, SliceStatus } from '@revos/core/jobs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { after, at, MINUTE_MS } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';

const NOW = at('2026-03-02T10:00:00Z');
let session: Session;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
});

const start = async (scheduledFor: Date | null = NOW): Promise<Run> =>
  (
    await session.runs.start({
      job: 'dm-queue',
      trigger: scheduledFor ? 'vercel-cron' : 'ops',
      scheduledFor,
      requestedBy: 'cron',
      horizonAt: after(scheduledFor ?? NOW, 15 * MINUTE_MS),
    })
  ).run;

const begin = async (run: Run, slice: number, worker = `w${slice}`): Promise<SliceStatus> => {
  const told = await session.runs.begin(run.id, worker, slice);
  if (told === null) throw new Error('there is no such run');
  return told;
};

const beat = (run: Run, slice: number, stats: object, worker = `w${slice}`): Promise<SliceStatus> =>
  session.runs.heartbeat(run.id, worker, stats, slice);

interface End {
  readonly status?: Exclude<SliceState, 'running'>;
  readonly stats?: object;
  readonly error?: string | null;
  readonly worker?: string;
  readonly seen?: Date;
}
const finish = (run: Run, slice: number, end: End = {}): Promise<SliceStatus> =>
  session.runs.finish(
    run.id,
    end.worker ?? `w${slice}`,
    {
      status: end.status ?? 'succeeded',
      stats: end.stats ?? {},
      error: end.error ?? null,
      horizonSeen: end.seen ?? new Date(run.horizon_at),
    },
    slice,
  );

/** A run with these slices under way. */
async function running(...slices: number[]): Promise<Run> {
  const run = await start();
  for (const slice of slices) expect(await begin(run, slice)).toMatchObject({ owned: true });
  return run;
}

const pass = (ms: number): void => {
  session.clock.now = after(session.clock.now, ms);
};

const statusesOf = async (run: Run): Promise<unknown[]> =>
  (
    await session.query('select slice, status from run_slices where run_id = $1 order by slice', [run.id])
  ).map(({ status }) => status);

describe('taking up a slice', () => {
  it('makes it the first of its run if no other was begun, whatever its number, and whoever takes it over', async () => {
    const run = await start();
    expect(await begin(run, 2)).toMatchObject({ slice: { is_first: true } });
    expect(await begin(run, 0)).toMatchObject({ slice: { is_first: false } });
    pass(15_001);
    expect(await begin(run, 2, 'heir')).toMatchObject({ owned: true, slice: { is_first: true } });
    expect(await begin(run, 0, 'heir')).toMatchObject({ owned: true, slice: { is_first: false } });
  });

  it('joins a run that others work on; the run keeps the name of its first worker', async () => {
    const run = await running(0);
    pass(1_000);
    expect(await begin(run, 2)).toMatchObject({
      owned: true,
      slice: { status: 'running', stats: {}, is_first: false },
      run: { status: 'running', worker: 'w0', started_at: NOW.toISOString().replace('.000Z', '+00:00') },
    });
    expect(await statusesOf(run)).toEqual(['running', 'running']);
  });

  it.each([
    [15_000, false],
    [15_001, true],
  ])('one whose worker was silent for %i ms is taken over: %s', async (silentMs, owned) => {
    const run = await running(0, 1);
    await beat(run, 0, { sent: 4, due: 9 });
    pass(silentMs);
    await beat(run, 1, {});
    // Who takes it over goes on counting where the other was.
    expect(await begin(run, 0, 'heir')).toMatchObject({ owned, slice: { stats: { sent: 4 } } });
    expect(await beat(run, 0, { sent: 5 })).toMatchObject({ owned: !owned });
    expect(await finish(run, 0, { stats: { sent: 99 }, seen: NOW })).toMatchObject({ owned: !owned });
    expect((await session.runs.get(run.id))?.stats.sent).toBe(owned ? 4 : 5);
  });

  it('where calls are limited, only from who gave it back: what a silent worker did last is not known', async () => {
    const { run } = await session.runs.start({
      ...{ job: 'dm-queue', trigger: 'ops', scheduledFor: null, requestedBy: 'ada' },
      ...{ horizonAt: after(NOW, 15 * MINUTE_MS), params: { limit: 5 } },
    });
    await begin(run, 0);
    await beat(run, 0, { eligible: 3 });
    pass(30_000);
    expect(await begin(run, 0, 'heir')).toMatchObject({ owned: false });
    expect(await session.runs.open()).toMatchObject([{ closed_slices: [0], is_worked_on: false }]);
    await finish(run, 0, { status: 'waiting', stats: { eligible: 4 } });
    expect(await begin(run, 0, 'heir')).toMatchObject({ owned: true, slice: { stats: { eligible: 4 } } });
  });

  it.each(['failed', 'cancelled', 'interrupted'] as const)('never one that %s', async (status) => {
    const run = await running(0, 1);
    await finish(run, 0, { status });
    await start(after(NOW, 15 * MINUTE_MS));
    expect(await begin(run, 0, 'heir')).toMatchObject({ owned: false, slice: { status } });
  });

  it('one that ended well is taken up again once the horizon has moved, and not before', async () => {
    const run = await running(0, 1);
    await finish(run, 0, { stats: { sent: 2 } });
    expect(await begin(run, 0)).toMatchObject({ owned: false, slice: { status: 'succeeded' } });
    await start(after(NOW, 15 * MINUTE_MS));
    expect(await begin(run, 0, 'heir')).toMatchObject({
      owned: true,
      slice: { status: 'running', stats: { sent: 2 } },
    });
  });

  it('never of a run that has ended, or is to be cancelled', async () => {
    const run = await running(0);
    await session.runs.cancel(run.id, 'ada');
    expect(await begin(run, 1)).toMatchObject({ owned: false, slice: null });
    // Its own worker may ask again: it has work in flight, and must say how it ended.
    expect(await begin(run, 0)).toMatchObject({ owned: true });
    await finish(run, 0, { status: 'cancelled' });
    expect(await begin(run, 1)).toMatchObject({ owned: false, run: { status: 'cancelled' } });
    expect(await statusesOf(run)).toEqual(['cancelled']);
  });
});

describe('what slices come to together', () => {
  it('one slice: as it says, whatever it says', async () => {
    const run = await running(0);
    const stats = {
      ...{ due: 3, seen: 7, eligible: 4, sent: 4, skipped: { gap: 2 }, next_at: null },
      ...{ dry_run: true, would_send: ['a'], media_checked: 2 },
    };
    expect((await beat(run, 0, stats)).run.stats).toEqual(stats);
    expect((await finish(run, 0, { stats })).run.stats).toEqual(stats);
  });

  it('counts are summed, and what describes all that waits is not', async () => {
    const run = await running(0, 1, 2);
    await beat(run, 0, { due: 10, eligible: 3, sent: 2, unknown: 1 });
    await beat(run, 1, { due: 8, eligible: 4, sent: 4, unknown: 0 });
    const told = await beat(run, 2, { due: 1, eligible: 1, sent: 1, unknown: 0 });
    expect(told.run.stats).toEqual({ due: 10, eligible: 8, sent: 7, unknown: 1 });
    pass(1_000);
    await finish(run, 0, {
      stats: { due: 10, eligible: 3, sent: 3, seen: 8, skipped: { gap: 5 }, next_at: 'a' },
    });
    pass(1_000);
    // The last to tell left two waiting: seen are those, and what all have claimed.
    const last = await finish(run, 2, {
      stats: { due: 1, eligible: 2, sent: 2, seen: 4, skipped: { day_limit: 2 }, next_at: null },
    });
    expect(last.run.stats).toMatchObject({
      ...{ due: 10, eligible: 9, sent: 9, seen: 11 },
      ...{ skipped: { day_limit: 2 }, next_at: null },
    });
    // A heartbeat that says nothing of it leaves it as it was.
    pass(1_000);
    expect((await beat(run, 1, { due: 8, eligible: 4, sent: 4 })).run.stats).toMatchObject({
      ...{ seen: 11, skipped: { day_limit: 2 } },
    });
  });
});

describe('the end of a run', () => {
  it('comes with the last of its slices', async () => {
    const run = await running(0, 1, 2);
    for (const slice of [1, 0]) {
      expect(await finish(run, slice, { stats: { sent: 1 } })).toMatchObject({
        owned: true,
        slice: { status: 'succeeded' },
        run: { status: 'running', finished_at: null },
      });
    }
    pass(1_000);
    expect(await finish(run, 2, { stats: { sent: 1 } })).toMatchObject({
      run: { status: 'succeeded', stats: { sent: 3 }, error: null },
    });
  });

  it('is not held up by slices that nobody took up; they come late, and are refused', async () => {
    const run = await running(1);
    expect(await finish(run, 1)).toMatchObject({ run: { status: 'succeeded' } });
    expect(await begin(run, 0)).toMatchObject({ owned: false, run: { status: 'succeeded' } });
  });

  it.each<{ name: string; ends: End[]; status: string; error: string | null }>([
    {
      name: 'one failed, in the middle',
      ends: [{}, { status: 'failed', error: 'no' }, {}],
      status: 'failed',
      error: 'no',
    },
    {
      name: 'the last failed',
      ends: [{}, { status: 'interrupted', error: 'away' }, { status: 'failed', error: 'no' }],
      status: 'failed',
      error: 'no',
    },
    {
      name: 'two failed: the first of them says why',
      ends: [
        { status: 'failed', error: 'one' },
        { status: 'failed', error: 'two' },
      ],
      status: 'failed',
      error: 'one',
    },
    {
      name: 'one was interrupted, and others worked on to the end',
      ends: [{ status: 'interrupted', error: 'away' }, {}],
      status: 'succeeded',
      error: null,
    },
    {
      name: 'the last was interrupted',
      ends: [{}, { status: 'interrupted', error: 'away' }],
      status: 'interrupted',
      error: 'away',
    },
    {
      name: 'the last was stopped by its own process',
      ends: [{}, { status: 'cancelled' }],
      status: 'cancelled',
      error: null,
    },
  ])('$name: $status', async ({ ends, status, error }) => {
    const run = await running(...ends.keys());
    for (const [slice, end] of ends.entries()) await finish(run, slice, end);
    expect(await session.runs.get(run.id)).toMatchObject({ status, error });
  });

  it('each slice goes on while the horizon is later than it saw: a coalesced slot is never lost', async () => {
    const run = await running(0, 1);
    await finish(run, 0);
    await start(after(NOW, 15 * MINUTE_MS));
    const refused = await finish(run, 1);
    expect(refused).toMatchObject({ owned: true, slice: { status: 'running' }, run: { status: 'running' } });
    const seen = new Date(refused.run.horizon_at);
    expect(await finish(run, 1, { seen })).toMatchObject({ run: { status: 'succeeded' } });
  });

  it('said twice is said once: the answer was lost, and others still work', async () => {
    const run = await running(0, 1);
    await finish(run, 0, { stats: { sent: 1 } });
    // Not that there is more to do.
    expect(await finish(run, 0, { stats: { sent: 1 } })).toMatchObject({
      owned: true,
      slice: { status: 'succeeded' },
      run: { status: 'running', stats: { sent: 1 } },
    });
  });
});

describe('a cancel', () => {
  it('is heard of by every slice, and ends the run with the last', async () => {
    const run = await running(0, 1);
    await session.runs.cancel(run.id, 'ada');
    expect((await beat(run, 0, {})).run.cancel_requested_at).not.toBeNull();
    expect(await finish(run, 0, { status: 'cancelled' })).toMatchObject({ run: { status: 'running' } });
    // The other came to its end by itself.
    expect(await finish(run, 1, { status: 'succeeded', seen: NOW })).toMatchObject({
      slice: { status: 'cancelled' },
      run: { status: 'cancelled', error: 'cancelled by ada' },
    });
  });

  it('ends at once a run whose slices all wait for a worker', async () => {
    const run = await running(0);
    await finish(run, 0, { status: 'waiting', stats: { sent: 1 } });
    expect(await session.runs.cancel(run.id, 'ada')).toMatchObject({
      status: 'cancelled',
      finished_at: expect.anything(),
      stats: { sent: 1 },
    });
    expect(await statusesOf(run)).toEqual(['cancelled']);
  });

  it('is not held up by a slice that waits', async () => {
    const run = await running(0, 1);
    await finish(run, 0, { status: 'waiting' });
    await session.runs.cancel(run.id, 'ada');
    expect(await finish(run, 1, { status: 'cancelled' })).toMatchObject({ run: { status: 'cancelled' } });
    expect(await statusesOf(run)).toEqual(['cancelled', 'cancelled']);
  });

  it.each(['interrupted', 'waiting'] as const)('stands over a shutdown (%s)', async (status) => {
    const run = await running(0);
    await session.runs.cancel(run.id, 'ada');
    expect(await finish(run, 0, { status, error: 'stopped: shutdown' })).toMatchObject({
      run: { status: 'cancelled', error: 'cancelled by ada' },
    });
  });

  it('stands where the worker went away before it heard of it: nobody goes on with the run', async () => {
    const run = await running(0);
    await session.runs.cancel(run.id, 'ada');
    pass(60_001);
    expect(await session.runs.recover()).toBe(1);
    expect(await session.runs.get(run.id)).toMatchObject({ status: 'cancelled', error: 'cancelled by ada' });
  });
});

describe('a slice that was given back', () => {
  it('holds the run up, and is taken up by another worker, who goes on counting', async () => {
    const run = await running(0, 1);
    expect(await finish(run, 0, { status: 'waiting', stats: { sent: 3 } })).toMatchObject({
      owned: true,
      slice: { status: 'waiting' },
      run: { status: 'running', stats: { sent: 3 } },
    });
    expect(await finish(run, 1)).toMatchObject({ run: { status: 'running' } });
    expect(await begin(run, 0, 'heir')).toMatchObject({ owned: true, slice: { stats: { sent: 3 } } });
    expect(await finish(run, 0, { worker: 'heir', stats: { sent: 5 } })).toMatchObject({
      run: { status: 'succeeded', stats: { sent: 5 } },
    });
  });

  it.each([
    [60_000, 'running', 'waiting'],
    [60_001, 'interrupted', 'interrupted'],
  ])('and that nobody takes up in %i ms: %s', async (waitedMs, status, slice) => {
    const run = await running(0);
    await finish(run, 0, { status: 'waiting' });
    pass(waitedMs);
    await session.runs.recover();
    expect(await session.runs.get(run.id)).toMatchObject({ status });
    expect(await statusesOf(run)).toEqual([slice]);
  });
});

describe('workers that go away', () => {
  it('one of several: the run goes on', async () => {
    const run = await running(0, 1);
    pass(59_000);
    await beat(run, 1, {});
    pass(59_000);
    expect(await session.runs.recover()).toBe(0);
    pass(1_001);
    expect(await session.runs.recover()).toBe(1);
    expect(await beat(run, 1, { sent: 9 })).toMatchObject({ owned: false, run: { status: 'interrupted' } });
    // What it did still counts.
    expect(await finish(run, 1, { stats: { sent: 9 } })).toMatchObject({
      run: { status: 'interrupted', stats: { sent: 9 } },
    });
  });
});

describe('runs that may want a worker', () => {
  const open = async () =>
    (await session.runs.open()).map(({ run, closed_slices, is_worked_on }) => ({
      id: run.id,
      closed_slices,
      is_worked_on,
    }));

  it('a queued one, once its trigger had time to hand it over', async () => {
    const run = await start();
    pass(4_999);
    expect(await open()).toEqual([]);
    pass(1);
    expect(await open()).toEqual([{ id: run.id, closed_slices: [], is_worked_on: false }]);
  });

  it('a running one, without the slices that run_begin would refuse', async () => {
    const run = await running(0, 1, 2, 3, 4);
    await finish(run, 1);
    await finish(run, 2, { status: 'failed' });
    await finish(run, 3, { status: 'waiting' });
    pass(15_000);
    await beat(run, 4, {});
    expect(await open()).toEqual([{ id: run.id, closed_slices: [0, 1, 2, 4], is_worked_on: true }]);
    pass(1);
    // The worker of slice 0 was silent for too long.
    expect(await open()).toMatchObject([{ closed_slices: [1, 2, 4] }]);
    await start(after(NOW, 15 * MINUTE_MS));
    // There is more to do for the one that had ended well.
    expect(await open()).toMatchObject([{ closed_slices: [2, 4] }]);
    pass(15_000);
    expect(await open()).toMatchObject([{ closed_slices: [2], is_worked_on: false }]);
    for (const slice of [0, 1, 2, 3, 4, 5]) {
      expect(await begin(run, slice, 'heir')).toMatchObject({ owned: slice !== 2 });
    }
  });

  it('none that has ended, or is to be cancelled', async () => {
    const run = await running(0);
    await session.runs.cancel(run.id, 'ada');
    expect(await open()).toEqual([]);
    await finish(run, 0, { status: 'cancelled' });
    expect(await open()).toEqual([]);
  });
});
