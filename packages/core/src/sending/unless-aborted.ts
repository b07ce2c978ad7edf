/** What `work` comes to, or null as soon as `signal` aborts; then nobody waits for it any more. */
export async function unlessAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
): Promise<Result | null> {
  if (signal.aborted) return null;
  const ended = new AbortController();
  const cut = new Promise<null>((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true, signal: ended.signal });
  });
  try {
    return await Promise.race([work, cut]);
  } finally {
    ended.abort();
  }
}
