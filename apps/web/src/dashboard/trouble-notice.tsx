import type { Trouble } from '../jobs-api/read.ts';

/** What is wrong, and what to look at. */
export function TroubleNotice({ trouble }: { trouble: Trouble }) {
  return (
    <section className="trouble" role="alert">
      <h2>{trouble.what}</h2>
      <ul>
        {trouble.check.map((check) => (
          <li key={check}>{check}</li>
        ))}
      </ul>
      <p>Nothing is lost: what is due stays in the queue until it is sent.</p>
    </section>
  );
}
