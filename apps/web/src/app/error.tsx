'use client';

/** Something this app did not foresee. The details are in the server's log, under the digest. */
export default function ErrorPage({
  error,
  reset,
}: {
  error: Error & { digest?: string };
  reset: () => void;
}) {
  return (
    <section className="message" role="alert">
      <h1>This page could not be shown</h1>
      <p>The jobs run on: this page only looks at them.</p>
      {error.digest !== undefined && (
        <p>
          The log of the web app has the details under <code>{error.digest}</code>.
        </p>
      )}
      <p>
        <button type="button" onClick={reset}>
          Try again
        </button>
      </p>
    </section>
  );
}
