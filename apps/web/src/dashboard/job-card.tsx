import Link from 'next/link';
import type { Job } from '../jobs-api/shapes.ts';
import { Instant } from './instant.tsx';
import type { JobState } from './job-state.ts';
import { StatusBadge } from './status-badge.tsx';
import { scheduleWords, slotTime } from './words.ts';

export function JobCard({ job, state, now }: { job: Job; state: JobState; now: Date }) {
  const schedule = scheduleWords(job.schedule);
  return (
    <li className="job">
      <h3>{job.name}</h3>
      <p className="job-summary">{job.summary}</p>
      <dl>
        <div className="job-fact">
          <dt>Schedule</dt>
          <dd>
            {schedule && <>{schedule} </>}
            <code className="schedule">{job.schedule}</code>
          </dd>
        </div>
        <div className="job-fact">
          <dt>Next slot</dt>
          <dd>
            {state.nextSlot ? (
              <>
                {slotTime(state.nextSlot, now)}, <Instant at={state.nextSlot} now={now} />
              </>
            ) : (
              'None'
            )}
          </dd>
        </div>
        <div className="job-fact">
          <dt>Last run</dt>
          <dd>
            {state.lastRun ? (
              <>
                <StatusBadge status={state.lastRun.status} />{' '}
                <Link
                  href={`/runs/${state.lastRun.id}`}
                  aria-label={`Last run of ${job.name}`}
                  prefetch={false}
                >
                  <Instant at={state.lastRun.started_at ?? state.lastRun.requested_at} now={now} />
                </Link>
              </>
            ) : (
              'None yet'
            )}
          </dd>
        </div>
      </dl>
    </li>
  );
}
