/** Runs in words. Pure: the current instant is an argument. */
import { reasonInWords } from '@revos/core/sending';
import type { Run } from '../shapes.ts';
import { facts, table } from './table.ts';
import { anyValue, duration, exactInstant, instant, NOTHING, onOneLine } from './words.ts';

/** Counts in the order in which they are read. Others that a job adds come after them. */
const COUNTS = ['due', 'seen', 'eligible', 'sent', 'failed', 'unknown', 'confirmed', 'retried'] as const;

/** Stats that are no counts, and are shown elsewhere. */
const APART = ['skipped', 'next_at', 'is_complete', 'dry_run', 'would_send'] as const;

export interface RunProgress {
  readonly done: number;
  readonly total: number;
  readonly text: string;
}

/** How far a run is. The total is 0 while it is not known. */
export function runProgress({ status, stats }: Run): RunProgress {
  const { sent = 0, failed = 0, unknown = 0, confirmed = 0 } = stats;
  const done = sent + failed + unknown;
  const counts = [`${sent} sent`, `${failed} failed`, `${unknown} unknown`];
  if (confirmed > 0) counts.push(`${confirmed} confirmed`);
  const total = Math.max(stats.due ?? 0, stats.seen ?? 0);
  const isCounted = total > 0 || done > 0 || confirmed > 0;
  return { done, total: Math.max(total, done), text: isCounted ? `${status}: ${counts.join(', ')}` : status };
}

/** How a run ended, or stands: one sentence. */
export function runSentence(run: Run, now: Date): string {
  const began = run.started_at === null ? null : Date.parse(run.started_at);
  const until = run.finished_at === null ? now.getTime() : Date.parse(run.finished_at);
  const took = began === null ? '' : ` after ${duration(Math.max(0, until - began))}`;
  const why = run.error === null ? '' : `: ${onOneLine(run.error)}`;
  return `Run ${run.id} of ${run.job} ${standing(run)}${took}${why}`;
}

function standing(run: Run): string {
  switch (run.status) {
    case 'queued':
      return 'waits to be taken up';
    case 'running':
      return run.cancel_requested_at === null ? 'is under way' : 'is stopping';
    case 'succeeded':
      return run.stats.dry_run === true ? 'succeeded, as a dry run,' : 'succeeded';
    case 'failed':
    case 'cancelled':
    case 'interrupted':
      return run.status === 'failed' ? 'failed' : `was ${run.status}`;
  }
}

/** The counts of a run, and why the rest waits. */
export function statsText({ stats }: Run): string {
  const counts = countsOf(stats);
  const waiting = Object.entries(stats.skipped ?? {})
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a);
  const parts: string[] = [];
  if (counts.length > 0) {
    parts.push(
      table(counts, [
        { head: 'Count', of: ([name]) => name },
        { head: '', of: ([, count]) => count },
      ]),
    );
  }
  if (waiting.length > 0) {
    parts.push(
      table(waiting, [
        { head: 'Waiting', of: ([, count]) => count },
        { head: 'Why', of: ([reason]) => onOneLine(reasonInWords(reason)) },
        { head: 'Reason', of: ([reason]) => onOneLine(reason) },
      ]),
    );
  }
  if (stats.is_complete === false) parts.push('More waits than was counted.');
  if (stats.next_at) parts.push(`The next can go ${instant(stats.next_at)}.`);
  if (stats.would_send !== undefined) parts.push(`Would be sent at once: ${anyValue(stats.would_send)}`);
  return parts.length === 0 ? 'It has counted nothing.' : parts.join('\n');
}

function countsOf(stats: Run['stats']): ReadonlyArray<readonly [name: string, count: number | string]> {
  const known = COUNTS.flatMap((name) => {
    const count = stats[name];
    return count === undefined ? [] : [[name, count] as const];
  });
  const ours: ReadonlySet<string> = new Set([...COUNTS, ...APART]);
  const others = Object.entries(stats)
    .filter(([name, value]) => !ours.has(name) && value !== 0)
    .map(([name, value]) => [onOneLine(name), typeof value === 'number' ? value : anyValue(value)] as const);
  return [...known, ...others];
}

/** Everything about one run. */
export function runText(run: Run, now: Date): string {
  const described = facts([
    ['Job', run.job],
    ['Status', run.status],
    ['Trigger', run.trigger],
    ['Asked for by', onOneLine(run.requested_by)],
    ['Slot', run.scheduled_for === null ? undefined : instant(run.scheduled_for)],
    ['Parameters', Object.keys(run.params).length === 0 ? undefined : paramsText(run.params)],
    ['Priority', run.priority === 0 ? undefined : run.priority],
    ['Asked for', exactInstant(run.requested_at)],
    ['Started', exactInstant(run.started_at)],
    ['Ended', exactInstant(run.finished_at)],
    ['Works until', run.finished_at === null ? instant(run.horizon_at) : undefined],
    ['Worker', run.worker === null ? undefined : onOneLine(run.worker)],
  ]);
  return [`${runSentence(run, now)}.`, described, statsText(run)].join('\n');
}

const paramsText = (params: Run['params']): string =>
  Object.entries(params)
    .map(([name, value]) => `${name}=${anyValue(value)}`)
    .join(' ');

export function runsTable(runs: readonly Run[], now: Date): string {
  if (runs.length === 0) return 'There are no such runs.';
  return table(runs, [
    { head: 'Run', of: (run) => run.id },
    { head: 'Job', of: (run) => run.job },
    { head: 'Status', of: (run) => run.status },
    { head: 'Asked for', of: (run) => instant(run.requested_at) },
    { head: 'By', of: (run) => onOneLine(run.trigger === 'ops' ? run.requested_by : run.trigger) },
    { head: 'Took', of: (run) => tookText(run, now) },
    { head: 'Sent', of: (run) => run.stats.sent ?? 0 },
    { head: 'Failed', of: (run) => run.stats.failed ?? 0 },
    { head: 'Unknown', of: (run) => run.stats.unknown ?? 0 },
  ]);
}

function tookText({ started_at, finished_at }: Run, now: Date): string {
  if (started_at === null) return NOTHING;
  const until = finished_at === null ? now.getTime() : Date.parse(finished_at);
  return duration(Math.max(0, until - Date.parse(started_at)));
}
