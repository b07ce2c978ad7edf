import type { Run, RunStatus } from '@revos/core/jobs';
import { Instant } from './instant.tsx';
import { skippedReasons } from './words.ts';

/** A run that was cancelled or interrupted says why, too; that is no failure. */
const ERROR_TONES: Partial<Record<RunStatus, string>> = { cancelled: 'plain', interrupted: 'warning' };

/** Why something went wrong, what still waits and why, and when it is tried next. */
export function RunNotes({ run, now }: { run: Run; now: Date }) {
  const reasons = skippedReasons(run);
  const nextAt = futureInstant(run.stats.next_at, now);
  const isCancelling = run.cancel_requested_at !== null && run.finished_at === null;
  return (
    <>
      {run.error !== null && (
        <p className={`note note-${ERROR_TONES[run.status] ?? 'error'}`}>
          <span className="note-text">{run.error}</span>
        </p>
      )}
      {isCancelling && <p className="note note-warning">Cancelling.</p>}
      {reasons.length > 0 && (
        <ul className="reasons" aria-label="Waiting">
          {reasons.map(({ code, words, count }) => (
            <li key={code}>
              <strong>{count.toLocaleString('en')}</strong> <span>{words}</span>
            </li>
          ))}
        </ul>
      )}
      {run.stats.is_complete === false && <p className="note">More waits than was counted.</p>}
      {nextAt !== null && (
        <p className="next-try">
          Next try <Instant at={nextAt} now={now} />
        </p>
      )}
    </>
  );
}

/** What was next when an old run ended has long been taken up by another. */
function futureInstant(instant: string | null | undefined, now: Date): Date | null {
  if (instant === null || instant === undefined) return null;
  const at = new Date(instant);
  return at > now ? at : null;
}
