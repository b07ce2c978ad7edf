import type { Metadata } from 'next';
import Link from 'next/link';

export const metadata: Metadata = { title: 'Not found' };

export default function NotFound() {
  return (
    <section className="message">
      <h1>There is nothing here</h1>
      <p>This page does not exist, or the run is older than runs are kept (90 days).</p>
      <p>
        <Link href="/" prefetch={false}>
          All jobs and their last runs
        </Link>
      </p>
    </section>
  );
}
