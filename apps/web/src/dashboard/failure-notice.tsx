import type { Failure } from '../jobs-api/read.ts';

/** What is wrong, and what to look at. */
export function FailureNotice({ failure }: { failure: Failure }) {
  return (
    <section className="failure" role="alert">
      <h2>{failure.what}</h2>
      <ul>
        {failure.check.map((check) => (
          <li key={check}>{check}</li>
        ))}
      </ul>
      <p>Nothing is lost: what is due stays in the queue until it is sent.</p>
    </section>
  );
}
