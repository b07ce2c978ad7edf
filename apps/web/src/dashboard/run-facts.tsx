import { isEnded, type Run, workedMs } from '@revos/core/jobs';
import type { ReactNode } from 'react';
import { AutoRefresh } from './auto-refresh.tsx';
import { Instant } from './instant.tsx';
import { RunNotes } from './run-notes.tsx';
import { StatusBadge } from './status-badge.tsx';
import { durationWords, exactTime, TRIGGER_WORDS } from './words.ts';

const COUNTS = ['seen', 'eligible', 'sent', 'failed', 'unknown', 'confirmed', 'retried'] as const;

/** Members of the statistics that have a place of their own. */
const KNOWN_STATS: ReadonlySet<string> = new Set([...COUNTS, 'skipped', 'next_at', 'is_complete']);

/** One run in full. */
export function RunFacts({ run, now }: { run: Run; now: Date }) {
  const worked = workedMs(run, now);
  const others = Object.entries(run.stats).filter(([name]) => !KNOWN_STATS.has(name));
  return (
    <article className="run" aria-labelledby="run-heading">
      <header>
        <h1 id="run-heading">{run.job}</h1>
        <p role="status">
          <StatusBadge status={run.status} />
        </p>
      </header>
      <div className="run-notes">
        <RunNotes run={run} now={now} />
      </div>
      <section aria-labelledby="counts-heading">
        <h2 id="counts-heading">What it saw and did</h2>
        <dl className="tiles">
          {COUNTS.map((count) => (
            <div className="tile" key={count}>
              <dt>{count}</dt>
              <dd>{run.stats[count]?.toLocaleString('en') ?? '–'}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section aria-labelledby="facts-heading">
        <h2 id="facts-heading">Facts</h2>
        <dl className="facts">
          <Fact name="Trigger">{TRIGGER_WORDS[run.trigger]}</Fact>
          <Fact name="Slot">
            {run.scheduled_for === null ? (
              'None: it was asked for by hand'
            ) : (
              <At at={run.scheduled_for} now={now} />
            )}
          </Fact>
          <Fact name="Requested">
            <At at={run.requested_at} now={now} /> by {run.requested_by}
          </Fact>
          <Fact name="Started">
            {run.started_at === null ? 'Not yet' : <At at={run.started_at} now={now} />}
          </Fact>
          <Fact name="Last sign of life">
            <At at={run.heartbeat_at} now={now} />
          </Fact>
          <Fact name="Finished">
            {run.finished_at === null ? 'Not yet' : <At at={run.finished_at} now={now} />}
          </Fact>
          <Fact name="Took">{worked === null ? '–' : durationWords(worked)}</Fact>
          <Fact name="Works until">
            <At at={run.horizon_at} now={now} />
          </Fact>
          {typeof run.stats.next_at === 'string' && (
            <Fact name={isEnded(run) ? 'Next try, as of its end' : 'Next try'}>
              <At at={run.stats.next_at} now={now} />
            </Fact>
          )}
          {run.cancel_requested_at !== null && (
            <Fact name="Cancel requested">
              <At at={run.cancel_requested_at} now={now} />
            </Fact>
          )}
          <Fact name="Worker">{run.worker ?? 'None yet'}</Fact>
          <Fact name="Id">
            <code>{run.id}</code>
          </Fact>
          {others.map(([name, value]) => (
            <Fact key={name} name={name.replaceAll('_', ' ')}>
              <code>{typeof value === 'string' ? value : JSON.stringify(value)}</code>
            </Fact>
          ))}
        </dl>
      </section>
      <AutoRefresh everyMs={isEnded(run) ? 30_000 : 3_000} />
    </article>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function At({ at, now }: { at: string; now: Date }) {
  return (
    <>
      {exactTime(new Date(at))}{' '}
      <span className="relative">
        (<Instant at={at} now={now} />)
      </span>
    </>
  );
}
