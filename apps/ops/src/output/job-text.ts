/** Jobs in words. Pure. */
import type { Job } from '../shapes.ts';
import { table } from './table.ts';
import { instant, onOneLine } from './words.ts';

export function jobsTable(jobs: readonly Job[]): string {
  return table(jobs, [
    { head: 'Job', of: ({ name }) => name },
    { head: 'What it does', of: ({ summary }) => onOneLine(summary), width: 40 },
    { head: 'Schedule (UTC)', of: ({ schedule }) => onOneLine(schedule) },
    { head: 'Next', of: ({ next_slot }) => instant(next_slot) },
    { head: 'Last run', of: ({ last_run }) => last_run?.status ?? 'never' },
    { head: 'Asked for', of: ({ last_run }) => instant(last_run?.requested_at) },
    { head: 'Takes', of: ({ params }) => params.join(', '), width: 20 },
  ]);
}
