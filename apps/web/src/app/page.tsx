import { Suspense } from 'react';
import { OverviewSection } from '../dashboard/overview.tsx';

/** The first page: every job, and the last runs. */
export default function Page() {
  return (
    <>
      <h1 className="visually-hidden">Background jobs</h1>
      <Suspense fallback={<Loading />}>
        <OverviewSection />
      </Suspense>
    </>
  );
}

function Loading() {
  return (
    <div className="loading" role="status">
      <p>Asking the jobs API…</p>
      <div className="skeleton skeleton-line" aria-hidden="true" />
      <div className="skeleton-cards" aria-hidden="true">
        <div className="skeleton skeleton-card" />
        <div className="skeleton skeleton-card" />
        <div className="skeleton skeleton-card" />
      </div>
      <div className="skeleton skeleton-table" aria-hidden="true" />
    </div>
  );
}
