import { type Run, type RunStats, workedMs } from '@revos/core/jobs';
import Link from 'next/link';
import { Instant } from './instant.tsx';
import { RunNotes } from './run-notes.tsx';
import { StatusBadge } from './status-badge.tsx';
import { durationWords, TRIGGER_WORDS } from './words.ts';

const COUNTS = ['sent', 'failed', 'unknown', 'seen'] as const;

/** The last runs. On a narrow screen each row is a card, and each cell says what it is. */
export function RunTable({ runs, now }: { runs: readonly Run[]; now: Date }) {
  return (
    <section className="table-scroll" aria-labelledby="runs-caption">
      <table>
        <caption id="runs-caption">Last runs</caption>
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Job</th>
            <th scope="col">Started</th>
            <th scope="col">Took</th>
            {COUNTS.map((count) => (
              <th scope="col" key={count} className="number">
                {heading(count)}
              </th>
            ))}
            <th scope="col">Waiting, and why</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <RunRow key={run.id} run={run} now={now} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function RunRow({ run, now }: { run: Run; now: Date }) {
  const worked = workedMs(run, now);
  return (
    <tr>
      <td className="cell-status">
        <StatusBadge status={run.status} />
      </td>
      <th scope="row" className="cell-job">
        <Link href={`/runs/${run.id}`} prefetch={false}>
          {run.job}
        </Link>
        <span className="trigger">{TRIGGER_WORDS[run.trigger]}</span>
      </th>
      <td data-label="Started">
        {run.started_at === null ? 'Not yet' : <Instant at={run.started_at} now={now} />}
      </td>
      <td data-label="Took" className="cell-took">
        {worked === null ? '–' : durationWords(worked)}
      </td>
      {COUNTS.map((count) => (
        <td key={count} data-label={heading(count)} className={`number count-${tone(count, run.stats)}`}>
          {run.stats[count]?.toLocaleString('en') ?? '–'}
          {count === 'unknown' && (run.stats.confirmed ?? 0) > 0 && (
            <span className="count-settled">{run.stats.confirmed?.toLocaleString('en')} found</span>
          )}
        </td>
      ))}
      <td className="cell-notes">
        <RunNotes run={run} now={now} />
      </td>
    </tr>
  );
}

function heading(count: (typeof COUNTS)[number]): string {
  return count.charAt(0).toUpperCase() + count.slice(1);
}

/**
 * An answer that was lost and then found is nothing to be alarmed by; what still waits for a person
 * the verdict says.
 */
function tone(count: (typeof COUNTS)[number], stats: RunStats): string {
  const value = stats[count] ?? 0;
  if (value === 0) return 'none';
  return count === 'unknown' && value <= (stats.confirmed ?? 0) ? 'known' : count;
}
