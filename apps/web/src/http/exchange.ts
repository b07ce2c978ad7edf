/**
 * One HTTP exchange with the jobs API: the request, and its whole answer or the reason there is none.
 *
 * It never throws, never follows a redirect (a bearer token must not follow one), and takes no longer
 * than it is given.
 */
import type { Effects } from '@revos/core/effects';
import { socketCodeOf } from '@revos/core/telemetry';

export interface HttpDependencies {
  readonly effects: Effects;
  readonly fetch: typeof fetch;
}

export type Exchange =
  | { readonly kind: 'answer'; readonly status: number; readonly headers: Headers; readonly text: string }
  /** No answer, or not the whole of it. `code` is the socket's, or `TIMEOUT`. */
  | { readonly kind: 'no_answer'; readonly code: string };

/** The longest answer that is read, in characters: 200 runs are a tenth of it. */
const ANSWER_LENGTH_MAX = 4_000_000;

export async function exchange(
  url: URL,
  init: Pick<RequestInit, 'method' | 'headers' | 'body'>,
  timeoutMs: number,
  { effects, fetch }: HttpDependencies,
): Promise<Exchange> {
  const timeout = new AbortController();
  const done = new AbortController();
  const timer = effects.sleep(timeoutMs, done.signal).then(() => timeout.abort());
  try {
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      cache: 'no-store',
      signal: timeout.signal,
    });
    const text = await readText(response);
    if (text === null) return { kind: 'no_answer', code: 'ANSWER_TOO_LONG' };
    return { kind: 'answer', status: response.status, headers: response.headers, text };
  } catch (error) {
    return { kind: 'no_answer', code: timeout.signal.aborted ? 'TIMEOUT' : socketCodeOf(error) };
  } finally {
    done.abort();
    await timer;
  }
}

/** The body, or null if it is longer than `ANSWER_LENGTH_MAX`. */
async function readText(response: Response): Promise<string | null> {
  if (response.body === null) return '';
  let text = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.length > ANSWER_LENGTH_MAX) return null;
  }
  return text;
}
