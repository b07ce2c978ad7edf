/** Bounds on time: for work that is given up, and for work that must not be begun any more. */
import type { Effects } from './effects.ts';

/**
 * Without a reason an abort makes an error and its stack, which costs five times as much as all the
 * rest of it.
 */
const DONE = 'done';

/**
 * Does `work` with a signal that aborts after `ms` milliseconds, with the `TimeoutError` that
 * `AbortSignal.timeout` gives. The timer ends with the work.
 */
export async function withTimeout<Result>(
  effects: Pick<Effects, 'sleep'>,
  ms: number,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const [done, expired] = [new AbortController(), new AbortController()];
  void effects.sleep(ms, done.signal).then(() => {
    if (!done.signal.aborted) expired.abort(new DOMException(`not done after ${ms} ms`, 'TimeoutError'));
  });
  try {
    return await work(expired.signal);
  } finally {
    done.abort(DONE);
  }
}

/** Stands for the end of the time in a race, where `work` may come to anything. */
const EXPIRED = Symbol('expired');

/**
 * What `work` comes to or, if that takes longer than `ms` milliseconds, what `late` gives or
 * throws; then nobody waits for it any more. The timer ends with the work.
 */
export async function within<Result, Late>(
  effects: Pick<Effects, 'sleep'>,
  ms: number,
  work: Promise<Result>,
  late: () => Late,
): Promise<Result | Late> {
  const done = new AbortController();
  const expired = effects.sleep(ms, done.signal).then((): typeof EXPIRED => EXPIRED);
  try {
    const first = await Promise.race([work, expired]);
    return first === EXPIRED ? late() : first;
  } finally {
    done.abort(DONE);
  }
}

/**
 * Milliseconds that are left of `ms` from now on, asked again at any time; negative once they are over.
 *
 * By whichever clock leaves less: the wall clock may be set back, the monotonic one stands still while the
 * machine sleeps, and a lease in the database runs on through either.
 */
export function countdown(effects: Pick<Effects, 'now' | 'monotonicMs'>, ms: number): () => number {
  const untilMs = effects.now().getTime() + ms;
  const monotonicUntilMs = effects.monotonicMs() + ms;
  return () => Math.min(untilMs - effects.now().getTime(), monotonicUntilMs - effects.monotonicMs());
}

/**
 * Whether less than `ms` milliseconds have passed since now, asked again at any time; by both
 * clocks, as in `countdown`.
 */
export function timeLeft(effects: Pick<Effects, 'now' | 'monotonicMs'>, ms: number): () => boolean {
  const leftMs = countdown(effects, ms);
  return () => leftMs() > 0;
}

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
