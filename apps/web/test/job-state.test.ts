/** Whether a slot was missed, and whether a run gives signs of life. */

import { silentMs } from '@revos/core/jobs';
import { describe, expect, it } from 'vitest';
import { jobState } from '../src/dashboard/job-state.ts';
import { aRun } from './a-run.ts';

const at = (time: string) => `2026-11-24T${time}.000Z`;
const job = { name: 'dm-queue', summary: '', schedule: '*/15 * * * *' };

/** A run of a slot, over at `finished` or still active. */
const run = (slot: string, finished: string | null) =>
  aRun({
    scheduled_for: at(slot),
    finished_at: finished && at(finished),
    status: finished === null ? 'running' : 'succeeded',
  });

describe('jobState', () => {
  it.each([
    { now: '10:07:00', last: run('10:00:00', '10:02:00'), missed: null },
    { now: '10:17:59', last: run('10:00:00', '10:02:00'), missed: null }, // within the grace
    { now: '10:18:00', last: run('10:00:00', '10:02:00'), missed: '10:15:00' },
    { now: '10:18:00', last: run('10:00:00', '10:15:00'), missed: null }, // it was active at the slot
    { now: '10:18:00', last: run('10:00:00', '10:14:59'), missed: '10:15:00' },
    { now: '10:18:00', last: run('10:00:00', null), missed: null }, // coalesced
    { now: '10:18:00', last: run('10:15:00', '10:15:01'), missed: null },
    { now: '10:18:00', last: null, missed: null }, // no run yet is not a missed one
  ])('at $now after $last.scheduled_for–$last.finished_at → $missed', ({ now, last, missed }) => {
    const state = jobState({ ...job, last_run: last }, [], new Date(at(now)));
    expect(state.missedSlot?.toISOString() ?? null).toBe(missed && at(missed));
  });

  it('finds the last run among the runs where the jobs API does not say', () => {
    const other = aRun({ job: 'analytics' });
    expect(jobState(job, [other, aRun(), aRun({ id: 'older' })], new Date(at('10:07:00'))).lastRun).toEqual(
      aRun(),
    );
  });

  it('shows a schedule that it cannot read, without slots', () => {
    const state = jobState({ ...job, schedule: 'whenever', last_run: aRun() }, [], new Date(at('12:00:00')));
    expect(state).toEqual({ lastRun: aRun(), nextSlot: null, missedSlot: null });
  });
});

describe('silentMs', () => {
  it.each([
    { status: 'running', now: '10:01:59', silent: null },
    { status: 'running', now: '10:02:00', silent: 120_000 },
    { status: 'queued', now: '11:00:00', silent: null },
    { status: 'succeeded', now: '11:00:00', silent: null },
  ] as const)('$status at $now → $silent', ({ status, now, silent }) => {
    expect(silentMs(aRun({ status, heartbeat_at: at('10:00:00') }), new Date(at(now)))).toBe(silent);
  });
});
