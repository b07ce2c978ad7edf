import { realEffects } from '@revos/core/effects';
import type { Metadata } from 'next';
import Link from 'next/link';
import { notFound } from 'next/navigation';
import { connection } from 'next/server';
import { AutoRefresh } from '../../../dashboard/auto-refresh.tsx';
import { FailureNotice } from '../../../dashboard/failure-notice.tsx';
import { RunFacts } from '../../../dashboard/run-facts.tsx';
import { readDashboardEnv } from '../../../env.ts';
import { fetchJobsApi } from '../../../jobs-api/fetch.ts';
import { readRun } from '../../../jobs-api/read.ts';

export const metadata: Metadata = { title: 'Run' };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** One run, with everything that is known of it. */
export default async function Page({ params }: { params: Promise<{ id: string }> }) {
  await connection();
  const { id } = await params;
  if (!UUID.test(id)) notFound();
  const reading = await readRun(id, { readEnv: readDashboardEnv, effects: realEffects, fetch: fetchJobsApi });
  if (reading.kind === 'absent') notFound();
  return (
    <>
      <nav className="back" aria-label="Breadcrumb">
        <Link href="/" prefetch={false}>
          ← All jobs
        </Link>
      </nav>
      {reading.kind === 'read' ? (
        <RunFacts run={reading.value} now={realEffects.now()} />
      ) : (
        <>
          <h1 className="visually-hidden">Run {id}</h1>
          <FailureNotice failure={reading.failure} />
          <AutoRefresh everyMs={30_000} />
        </>
      )}
    </>
  );
}
