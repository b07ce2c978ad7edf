/** What a job shows of itself, and whether a run gives signs of life. */

import { silentMs } from '@revos/core/jobs';
import { describe, expect, it } from 'vitest';
import { jobState } from '../src/dashboard/job-state.ts';
import { aRun } from './a-run.ts';

const at = (time: string) => `2026-11-24T${time}.000Z`;
const job = { name: 'dm-queue', summary: '', schedule: '*/15 * * * *' };

describe('jobState', () => {
  it('shows the next slot', () => {
    const { nextSlot } = jobState({ ...job, last_run: null }, [], new Date(at('10:07:00')));
    expect(nextSlot).toEqual(new Date(at('10:15:00')));
  });

  it('finds the last run among the runs where the jobs API does not say', () => {
    const other = aRun({ job: 'analytics' });
    expect(jobState(job, [other, aRun(), aRun({ id: 'older' })], new Date(at('10:07:00'))).lastRun).toEqual(
      aRun(),
    );
  });

  it('shows a schedule that it cannot read, without slots', () => {
    const state = jobState({ ...job, schedule: 'whenever', last_run: aRun() }, [], new Date(at('12:00:00')));
    expect(state).toEqual({ lastRun: aRun(), nextSlot: null });
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
