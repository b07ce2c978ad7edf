/** Runs for tests: every option has a default, so that what a test writes is what it is about. */
import type { Run } from '@revos/core/jobs';

export function aRun(facts: Partial<Run> = {}): Run {
  return {
    id: '00000000-0000-4000-8000-000000000001',
    job: 'dm-queue',
    scheduled_for: '2026-11-24T10:00:00.000Z',
    trigger: 'vercel-cron',
    status: 'succeeded',
    requested_at: '2026-11-24T10:00:00.400Z',
    started_at: '2026-11-24T10:00:00.500Z',
    heartbeat_at: '2026-11-24T10:06:40.500Z',
    finished_at: '2026-11-24T10:06:40.500Z',
    horizon_at: '2026-11-24T10:15:00.000Z',
    cancel_requested_at: null,
    params: {},
    priority: 0,
    stats: { seen: 12, eligible: 8, sent: 7, failed: 1, unknown: 0, retried: 0, skipped: {}, next_at: null },
    error: null,
    requested_by: 'cron',
    worker: 'jobs-api@host:1',
    ...facts,
  };
}
