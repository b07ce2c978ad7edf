import { silentMs } from '@revos/core/jobs';
import type { Overview } from '../jobs-api/read.ts';
import { Instant } from './instant.tsx';
import { activeRuns, type JobState } from './job-state.ts';
import { slotTime } from './words.ts';

interface Named {
  readonly name: string;
  readonly state: JobState;
}

/** One sentence on how things are, announced when it changes. */
export function Summary({
  overview,
  states,
  now,
}: {
  overview: Overview;
  states: readonly Named[];
  now: Date;
}) {
  const { tone, text } = sentence(overview, states, now);
  const next = earliestSlot(states);
  return (
    <section className={`summary summary-${tone}`} aria-label="Now">
      <span className="summary-dot" aria-hidden="true" />
      <div>
        <p className="summary-text" role="status" aria-live="polite">
          {text}
        </p>
        {next && (
          <p className="summary-next">
            The next slot is <strong>{next.name}</strong> at {slotTime(next.at, now)},{' '}
            <Instant at={next.at} now={now} />.
          </p>
        )}
      </div>
    </section>
  );
}

type Tone = 'warning' | 'failing' | 'active' | 'quiet' | 'well';

/** The most pressing fact. */
function sentence(overview: Overview, states: readonly Named[], now: Date): { tone: Tone; text: string } {
  const missed = states.flatMap(({ name, state }) =>
    state.missedSlot ? [`the ${slotTime(state.missedSlot, now)} slot of ${name}`] : [],
  );
  if (missed.length > 0) return { tone: 'warning', text: `No run was made for ${list(missed)}.` };

  const active = activeRuns(overview);
  const silent = active.filter((run) => silentMs(run, now) !== null).map((run) => run.job);
  if (silent.length > 0)
    return { tone: 'warning', text: `The run of ${list(silent)} gives no sign of life.` };

  const failed = states.filter(({ state }) => state.lastRun?.status === 'failed').map(({ name }) => name);
  if (failed.length > 0) return { tone: 'failing', text: `The last run of ${list(failed)} failed.` };

  const busy = [...new Set(active.map((run) => run.job))];
  if (busy.length > 0) {
    return { tone: 'active', text: `${list(busy)} ${busy.length === 1 ? 'is' : 'are'} running.` };
  }
  if (overview.runs.length === 0) return { tone: 'quiet', text: 'No run yet.' };
  return { tone: 'well', text: 'All is well. No job is running.' };
}

function earliestSlot(states: readonly Named[]): { name: string; at: Date } | null {
  const slots = states.flatMap(({ name, state }) => (state.nextSlot ? [{ name, at: state.nextSlot }] : []));
  return slots.sort((a, b) => a.at.getTime() - b.at.getTime())[0] ?? null;
}

function list(names: readonly string[]): string {
  return new Intl.ListFormat('en').format(names);
}
