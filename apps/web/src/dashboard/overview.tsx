import { realEffects } from '@revos/core/effects';
import { unseen } from '@revos/core/verdict';
import { connection } from 'next/server';
import { readDashboardEnv } from '../env.ts';
import { fetchJobsApi } from '../jobs-api/fetch.ts';
import { readOverview } from '../jobs-api/read.ts';
import { AutoRefresh } from './auto-refresh.tsx';
import { FailureNotice } from './failure-notice.tsx';
import { JobCard } from './job-card.tsx';
import { activeRuns, jobState } from './job-state.ts';
import { RunTable } from './run-table.tsx';
import { Summary } from './summary.tsx';
import { exactTime } from './words.ts';

const REFRESH_MS_ACTIVE = 3_000;
const REFRESH_MS_QUIET = 30_000;

/** The jobs and their last runs, as the jobs API has them now. */
export async function OverviewSection() {
  await connection();
  const reading = await readOverview({
    readEnv: readDashboardEnv,
    effects: realEffects,
    fetch: fetchJobsApi,
  });
  const now = realEffects.now();
  if (reading.kind !== 'read') {
    const failure = reading.kind === 'failure' ? reading.failure : NOT_THERE;
    return (
      <>
        <Summary verdict={unseen(failure.what, now)} states={[]} now={now} />
        <FailureNotice failure={failure} />
        <Freshness now={now} everyMs={REFRESH_MS_QUIET} />
      </>
    );
  }
  const overview = reading.value;
  const jobs = overview.jobs.map((job) => ({ job, state: jobState(job, overview.runs, now) }));
  const states = jobs.map(({ job, state }) => ({ name: job.name, state }));
  return (
    <>
      <Summary verdict={overview.verdict} states={states} now={now} />
      <section aria-labelledby="jobs-heading">
        <h2 id="jobs-heading">Jobs</h2>
        <ul className="jobs">
          {jobs.map(({ job, state }) => (
            <JobCard key={job.name} job={job} state={state} now={now} />
          ))}
        </ul>
      </section>
      {overview.runs.length > 0 ? <RunTable runs={overview.runs} now={now} /> : <NoRuns />}
      <Freshness now={now} everyMs={activeRuns(overview).length > 0 ? REFRESH_MS_ACTIVE : REFRESH_MS_QUIET} />
    </>
  );
}

const NOT_THERE = {
  what: 'The jobs API has no list of jobs or runs (404).',
  check: ['Is JOBS_API_URL the address of the jobs API, without a path?'],
};

function NoRuns() {
  return (
    <section className="empty" aria-labelledby="runs-heading">
      <h2 id="runs-heading">Last runs</h2>
      <p>No run yet. Each one will stand here: when it ran, what it sent, and what waits and why.</p>
    </section>
  );
}

function Freshness({ now, everyMs }: { now: Date; everyMs: number }) {
  return (
    <p className="freshness">
      Updated <time dateTime={now.toISOString()}>{exactTime(now)}</time>, every {everyMs / 1_000} s.
      <AutoRefresh everyMs={everyMs} />
    </p>
  );
}
