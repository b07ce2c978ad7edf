/** A run's life: slots, horizons, heartbeats, and ends. */
import type { Run, RunRequest, SliceStatus } from '@revos/core/jobs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { accountId, after, at, MINUTE_MS, refusal } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';

const NOW = at('2026-03-02T10:00:00Z');
const SLOT = at('2026-03-02T10:00:00Z');
const NEXT_SLOT = after(SLOT, 15 * MINUTE_MS);
const LATER_SLOT = after(SLOT, 30 * MINUTE_MS);
let session: Session;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
});

const start = (scheduledFor: Date | null, over: { job?: string; horizonAt?: Date } = {}) =>
  session.runs.start({
    job: 'dm-queue',
    trigger: scheduledFor ? 'vercel-cron' : 'ops',
    scheduledFor,
    requestedBy: 'cron',
    horizonAt: after(scheduledFor ?? session.clock.now, 15 * MINUTE_MS),
    ...over,
  });

/** A run asked for by hand. */
const request = (over: Partial<RunRequest>): RunRequest => ({
  job: 'dm-queue',
  trigger: 'ops',
  scheduledFor: null,
  requestedBy: 'ada',
  horizonAt: after(session.clock.now, 15 * MINUTE_MS),
  ...over,
});

async function begin(run: Run, worker = 'w1', slice = 0): Promise<SliceStatus> {
  const told = await session.runs.begin(run.id, worker, slice);
  if (told === null) throw new Error('there is no such run');
  return told;
}

async function running(worker = 'w1'): Promise<Run> {
  const { run } = await start(SLOT);
  const begun = await begin(run, worker);
  expect(begun).toMatchObject({ owned: true, run: { status: 'running', worker } });
  return begun.run;
}

const finish = (
  run: Run,
  over: { worker?: string; status?: 'succeeded' | 'failed' | 'cancelled'; seen?: Date; sent?: number } = {},
) =>
  session.runs.finish(run.id, over.worker ?? 'w1', {
    status: over.status ?? 'succeeded',
    stats: { sent: over.sent ?? 3 },
    error: null,
    horizonSeen: over.seen ?? new Date(run.horizon_at),
  });

describe('a slot', () => {
  it('makes one run, however often it is asked for, also long after', async () => {
    const first = await start(SLOT);
    expect(first).toMatchObject({
      outcome: 'created',
      run: { job: 'dm-queue', status: 'queued', trigger: 'vercel-cron', stats: {}, worker: null },
    });
    expect(await start(SLOT)).toMatchObject({ outcome: 'exists', run: { id: first.run.id } });
    const begun = await begin(first.run);
    await finish(begun.run);
    session.clock.now = after(NOW, 3 * 24 * 60 * MINUTE_MS);
    expect(await start(SLOT)).toMatchObject({
      outcome: 'exists',
      run: { id: first.run.id, status: 'succeeded' },
    });
    expect(await session.runs.slot('dm-queue', SLOT)).toMatchObject({ id: first.run.id });
    expect(await session.runs.slot('dm-queue', NEXT_SLOT)).toBeNull();
  });

  it('is each job’s own', async () => {
    const [a, b] = [await start(SLOT), await start(SLOT, { job: 'analytics' })];
    expect(b.outcome).toBe('created');
    expect(b.run.id).not.toBe(a.run.id);
  });

  it('that meets an active run is answered with it, for ever', async () => {
    const run = await running();
    expect(await start(NEXT_SLOT)).toMatchObject({
      outcome: 'coalesced',
      run: { id: run.id, status: 'running' },
    });
    await finish(run, { seen: after(NEXT_SLOT, 15 * MINUTE_MS) });
    expect(await start(NEXT_SLOT)).toMatchObject({ outcome: 'exists', run: { id: run.id } });
    expect(await session.runs.slot('dm-queue', NEXT_SLOT)).toMatchObject({ id: run.id });
    expect(await session.query('select job, scheduled_for, run_id from job_slots order by 2', [])).toEqual([
      { job: 'dm-queue', scheduled_for: SLOT, run_id: run.id },
      { job: 'dm-queue', scheduled_for: NEXT_SLOT, run_id: run.id },
    ]);
  });

  it('is not consumed by a run asked for by hand', async () => {
    const byHand = await start(null);
    expect(byHand.run.scheduled_for).toBeNull();
    expect(await session.query('select from job_slots', [])).toEqual([]);
    expect(await start(null)).toMatchObject({ outcome: 'coalesced', run: { id: byHand.run.id } });
    const begun = await begin(byHand.run);
    await finish(begun.run);
    expect(await start(SLOT)).toMatchObject({ outcome: 'created' });
  });
});

describe('the horizon', () => {
  it('moves with each coalesced slot, never back; the end is refused until it was seen', async () => {
    const run = await running();
    const seen = new Date(run.horizon_at);
    await start(LATER_SLOT);
    expect((await start(NEXT_SLOT)).run.horizon_at).toBe((await session.runs.get(run.id))?.horizon_at);
    const refused = await finish(run, { seen });
    expect(refused).toMatchObject({ owned: true, run: { status: 'running' } });
    const horizon = new Date(refused.run.horizon_at);
    expect(horizon).toEqual(after(LATER_SLOT, 15 * MINUTE_MS));
    expect(await finish(run, { seen: after(horizon, -1) })).toMatchObject({ run: { status: 'running' } });
    expect(await finish(run, { seen: horizon })).toMatchObject({
      owned: true,
      run: { status: 'succeeded', stats: { sent: 3 } },
    });
  });

  it.each(['failed', 'cancelled'] as const)('does not keep a run that %s', async (status) => {
    const run = await running();
    await start(NEXT_SLOT);
    expect(await finish(run, { status })).toMatchObject({ run: { status } });
  });
});

describe('begin', () => {
  it('once; the same worker may ask again, another is told no', async () => {
    const run = await running('w1');
    expect(await session.runs.begin(run.id, 'w1')).toMatchObject({ owned: true });
    expect(await session.runs.begin(run.id, 'w2')).toMatchObject({ owned: false, run: { worker: 'w1' } });
    expect(await session.runs.begin(accountId(1), 'w1')).toBeNull();
  });

  it('never a run that was cancelled before', async () => {
    const { run } = await start(SLOT);
    await session.runs.cancel(run.id, 'ann');
    expect(await session.runs.begin(run.id, 'w1')).toMatchObject({
      owned: false,
      run: { status: 'cancelled' },
    });
  });
});

describe('cancel', () => {
  it('ends a queued run', async () => {
    const { run } = await start(SLOT);
    expect(await session.runs.cancel(run.id, 'ann')).toMatchObject({
      status: 'cancelled',
      error: 'cancelled by ann',
    });
    expect(await session.runs.cancel(run.id, 'bob')).toMatchObject({
      status: 'cancelled',
      error: 'cancelled by ann',
    });
    expect(await session.runs.cancel(accountId(1), 'ann')).toBeNull();
  });

  it('asks a running one to stop, and the next slot gets a run of its own', async () => {
    const run = await running();
    const asked = await session.runs.cancel(run.id, 'ann');
    expect(asked).toMatchObject({ status: 'running', finished_at: null });
    expect(asked?.cancel_requested_at).not.toBeNull();
    expect((await session.runs.heartbeat(run.id, 'w1', {})).run.cancel_requested_at).not.toBeNull();
    const next = await start(NEXT_SLOT);
    expect(next).toMatchObject({ outcome: 'created' });
    expect(next.run.id).not.toBe(run.id);
    // Its worker learns it, and what it did still counts.
    expect(await session.runs.heartbeat(run.id, 'w1', {})).toMatchObject({
      owned: false,
      run: { status: 'cancelled' },
    });
    expect(await finish(run, { status: 'cancelled', sent: 7 })).toMatchObject({
      slice: { status: 'cancelled' },
      run: { status: 'cancelled', stats: { sent: 7 } },
    });
  });

  it('of a run that makes room for the next slot ends its slices with it, also one that was left open', async () => {
    const run = await running();
    await session.runs.cancel(run.id, 'ann');
    await start(NEXT_SLOT);
    const slices = () => session.query('select status from run_slices where run_id = $1', [run.id]);
    expect(await slices()).toEqual([{ status: 'cancelled' }]);
    await session.query(`update run_slices set status = 'running' where run_id = $1`, [run.id]);
    expect(await finish(run, { status: 'succeeded' })).toMatchObject({ slice: { status: 'cancelled' } });
    expect(await slices()).toEqual([{ status: 'cancelled' }]);
  });
});

describe('a worker that went away', () => {
  it.each([
    [60_000, 0],
    [60_001, 1],
  ])('is given up on after 60 s without a heartbeat: %i ms → %i', async (silentMs, interrupted) => {
    await running();
    session.clock.now = after(NOW, silentMs);
    expect(await session.runs.recover()).toBe(interrupted);
    expect(await session.runs.recover()).toBe(0);
  });

  it('a heartbeat keeps it', async () => {
    const run = await running();
    session.clock.now = after(NOW, 50_000);
    expect(await session.runs.heartbeat(run.id, 'w1', { sent: 1 })).toMatchObject({
      owned: true,
      run: { stats: { sent: 1 } },
    });
    session.clock.now = after(NOW, 110_000);
    expect(await session.runs.recover()).toBe(0);
  });

  it.each([
    [600_000, 0],
    [600_001, 1],
  ])(
    'a run that nobody takes up is given up on after 10 minutes: %i ms → %i',
    async (waitedMs, interrupted) => {
      await start(SLOT);
      session.clock.now = after(NOW, waitedMs);
      expect(await session.runs.recover()).toBe(interrupted);
    },
  );

  it('comes back, and is told that it lost the run', async () => {
    const run = await running();
    session.clock.now = after(NOW, 60_001);
    const next = await start(NEXT_SLOT);
    expect(next).toMatchObject({ outcome: 'created' });
    expect(await session.runs.get(run.id)).toMatchObject({
      status: 'interrupted',
      error: 'its worker went away: no heartbeat',
    });
    expect(await session.runs.heartbeat(run.id, 'w1', { sent: 5 })).toMatchObject({
      owned: false,
      run: { status: 'interrupted' },
    });
    expect(await session.runs.heartbeat(next.run.id, 'w1', {})).toMatchObject({ owned: false });
    expect(await finish(run, { sent: 9 })).toMatchObject({
      run: { status: 'interrupted', stats: { sent: 9 } },
    });
    expect(await finish(next.run)).toMatchObject({ owned: false, run: { status: 'queued' } });
    expect(await session.runs.get(next.run.id)).toMatchObject({ status: 'queued', stats: {} });
  });

  it('another worker’s word on a run changes nothing', async () => {
    const run = await running('w1');
    expect(await session.runs.heartbeat(run.id, 'w2', { sent: 99 })).toMatchObject({ owned: false });
    expect(await finish(run, { worker: 'w2' })).toMatchObject({ owned: false });
    expect(await session.runs.get(run.id)).toMatchObject({ status: 'running', stats: {} });
  });
});

describe('the rules', () => {
  it('RN001: an end is an end', async () => {
    const run = await running();
    for (const status of ['running', 'queued', 'done']) {
      expect(await refusal(finish(run, { status: status as 'failed' }))).toMatchObject({ code: 'RN001' });
    }
  });

  it('SE002: a list has 1 to 200 runs', async () => {
    for (const limit of [0, 201, null as unknown as number]) {
      await expect(session.runs.list({ limit })).rejects.toMatchObject({ kind: 'rule', code: 'SE002' });
    }
    expect(await session.runs.list({ limit: 200 })).toEqual({ items: [], next_cursor: null });
  });

  it('SE001 and SE003: a filter and a cursor that no list knows', async () => {
    const list = (filter: object, after: string | null = null) =>
      refusal(session.rpc.call('run_list', { filter, after }));
    expect(await list({ colour: 'red' })).toEqual({ code: 'SE001', field: 'colour' });
    expect(await list({ from: 'soon' })).toEqual({ code: 'SE001', field: 'from' });
    expect(await list({}, 'bm90IGEgY3Vyc29y')).toEqual({ code: 'SE003', field: 'cursor' });
    expect(await list({}, '%%%')).toEqual({ code: 'SE003', field: 'cursor' });
    expect(await list({ job: "x'; drop table job_runs; --" }, 'WzFd')).toEqual({
      code: 'SE003',
      field: 'cursor',
    });
  });

  it('pages through all runs once each, also those of one instant', async () => {
    const made = new Set<string>();
    for (let n = 0; n < 7; n += 1) {
      made.add((await session.runs.start(request({ params: { limit: n + 1 } }))).run.id);
    }
    const seen: string[] = [];
    for (let cursor: string | undefined, pages = 0; pages < 10; pages += 1) {
      const page = await session.runs.list({ limit: 3, ...(cursor ? { cursor } : {}) });
      seen.push(...page.items.map(({ id }) => id));
      if (page.next_cursor === null) break;
      cursor = page.next_cursor;
    }
    expect(seen).toHaveLength(7);
    expect(new Set(seen)).toEqual(made);
  });

  it('lists the newest first, by job and by status', async () => {
    const first = await running();
    await finish(first);
    session.clock.now = after(NOW, MINUTE_MS);
    const second = (await start(NEXT_SLOT)).run;
    const other = (await start(SLOT, { job: 'analytics' })).run;
    const ids = async (filter: object) =>
      (await session.runs.list({ limit: 10, ...filter })).items.map((run) => run.id);
    expect(await ids({ job: 'dm-queue' })).toEqual([second.id, first.id]);
    expect(await ids({ status: 'succeeded' })).toEqual([first.id]);
    expect((await ids({})).sort()).toEqual([first.id, second.id, other.id].sort());
    expect((await session.runs.list({ limit: 1 })).items).toHaveLength(1);
  });
});

describe('a run with parameters', () => {
  it('stands beside the normal run, and is coalesced with nothing', async () => {
    const normal = (await start(SLOT)).run;
    const scoped = await session.runs.start(request({ params: { dry_run: true }, priority: 7 }));
    expect(scoped).toMatchObject({
      outcome: 'created',
      run: { params: { dry_run: true }, priority: 7, status: 'queued', scheduled_for: null },
    });
    const again = await session.runs.start(request({ params: { dry_run: true } }));
    expect(again.outcome).toBe('created');
    expect(new Set([normal.id, scoped.run.id, again.run.id]).size).toBe(3);
    const listed = async (isScoped: boolean) =>
      (await session.runs.list({ scoped: isScoped, limit: 10 })).items.map(({ id }) => id).sort();
    expect(await listed(true)).toEqual([scoped.run.id, again.run.id].sort());
    expect(await listed(false)).toEqual([normal.id]);
    expect((await start(NEXT_SLOT)).run.id).toBe(normal.id);
    expect((await session.runs.start(request({}))).outcome).toBe('coalesced');
  });

  it('RN003: has no slot', async () => {
    expect(await refusal(session.runs.start(request({ scheduledFor: SLOT, params: { limit: 1 } })))).toEqual({
      code: 'RN003',
      field: 'params',
    });
  });

  it('RN004: is one of ten at once', async () => {
    for (let n = 0; n < 10; n += 1) await session.runs.start(request({ params: { limit: 1 } }));
    expect(await refusal(session.runs.start(request({ params: { limit: 1 } })))).toMatchObject({
      code: 'RN004',
    });
  });

  it('is in the audit trail with the name of who asked', async () => {
    const { run } = await session.runs.start(request({ params: { limit: 5 } }));
    await session.runs.cancel(run.id, 'ada');
    const { items } = await session.rpc.call<{ items: object[] }>('audit_list', {
      filter: { subject: run.id },
    });
    expect(items).toMatchObject([
      { actor: 'ada', action: 'run.cancel' },
      { actor: 'ada', action: 'run.start', params: { job: 'dm-queue', params: { limit: 5 } } },
    ]);
  });
});

describe('a cancel that comes as the work is ending', () => {
  it('stands, whatever the worker says, and also over a later slot', async () => {
    const run = await running();
    await session.runs.cancel(run.id, 'ada');
    const ended = await finish(run, { status: 'succeeded', sent: 3, seen: after(SLOT, MINUTE_MS) });
    expect(ended).toMatchObject({ owned: true, run: { status: 'cancelled', error: 'cancelled by ada' } });
    expect(ended.run.stats).toMatchObject({ sent: 3 });
  });
});
