import type { Finding, Verdict } from '@revos/core/verdict';
import { Instant } from './instant.tsx';
import type { JobState } from './job-state.ts';
import { exactTime, slotTime } from './words.ts';

interface Named {
  readonly name: string;
  readonly state: JobState;
}

/** The verdict in its own words, announced when it changes. Nothing is judged here. */
export function Summary({ verdict, states, now }: { verdict: Verdict; states: readonly Named[]; now: Date }) {
  const next = earliestSlot(states);
  return (
    <section className={`summary summary-${TONES[verdict.state]}`} aria-label="Now">
      <span className="summary-dot" aria-hidden="true" />
      <div>
        <p className="summary-text" role="status" aria-live="polite">
          {verdict.sentence}
        </p>
        <Details finding={verdict} now={now} />
        {verdict.also.length > 0 && (
          <ul className="summary-also" aria-label="Also">
            {verdict.also.map((finding) => (
              <li key={finding.sentence}>
                <strong>{finding.sentence}</strong>
                <Details finding={finding} now={now} />
              </li>
            ))}
          </ul>
        )}
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

const TONES = {
  well: 'well',
  late: 'warning',
  needs_a_person: 'warning',
  stopped: 'failing',
  unknown: 'quiet',
} as const satisfies Record<Verdict['state'], string>;

/** Since when, why, and what to do. */
function Details({ finding: { since, why, what_to_do }, now }: { finding: Finding; now: Date }) {
  return (
    <>
      {since !== null && (
        <p className="summary-detail">
          Since {exactTime(new Date(since))}, <Instant at={since} now={now} />
        </p>
      )}
      {why !== null && <p className="summary-detail">{why}</p>}
      {what_to_do !== null && <p className="summary-detail summary-act">{what_to_do}</p>}
    </>
  );
}

function earliestSlot(states: readonly Named[]): { name: string; at: Date } | null {
  const slots = states.flatMap(({ name, state }) => (state.nextSlot ? [{ name, at: state.nextSlot }] : []));
  return slots.sort((a, b) => a.at.getTime() - b.at.getTime())[0] ?? null;
}
