/**
 * Media are looked at ahead of time, so that a person sees a day before that a file is gone or too large.
 *
 * A problem is never final: a file may be there a minute later. So it is looked at again, as
 * `post_media_due` says, and a run stays for the looks that come before its horizon. Nothing is
 * kept of the files: at publication they are fetched anew.
 */
import pLimit from 'p-limit';
import type { JobServices } from '../jobs/index.ts';
import { RpcError } from '../rpc/index.ts';
import { fetchMedia } from './media.ts';
import type { CheckedMedia, MediaToCheck, PostStore } from './store.ts';

/** Posts taken at once. Their files are fetched post by post, so that few are in memory. */
const BATCH_MAX = 20;

/** Posts looked at together. */
const CHECKS_MAX = 2;

/** Batches in one pass: what is left is looked at in the next. */
const BATCHES_MAX = 50;

/** The longest wait between two passes, in milliseconds: options that are set meanwhile are seen by then. */
const PASS_MS_MAX = 60_000;

/** While it looks, when to ask again what comes next, in milliseconds. */
const ASK_AGAIN_MS = 1_000;

/** A pass that takes longer than this, in milliseconds, is not waited for: its host may hang. */
const PATIENCE_MS = 30_000;

export interface MediaChecks {
  readonly media_checked: number;
  readonly media_problems: number;
}

export interface MediaWatch {
  /**
   * Looks at what is to be looked at, now and as it comes, until `published` aborts, and at what is
   * left once more then. Answers whether a post that was held can go now. `signal` ends it at once.
   */
  work(published: AbortSignal, signal: AbortSignal): Promise<{ readonly hasFreed: boolean }>;
  /**
   * When it is going to look again, seen at `now`; null if nothing is to come. While it looks, that
   * is soon to be known.
   */
  nextAt(now: Date): Date | null;
  counts(): MediaChecks;
}

/**
 * The looks of one run.
 *
 * A look that did not come to its end is not repeated, so that a host which hangs holds up its own
 * posts, and those never looked at go first.
 */
export function createMediaWatch(
  store: Pick<PostStore, 'mediaDue' | 'recordMedia'>,
  services: Pick<JobServices, 'media' | 'effects' | 'logger'>,
): MediaWatch {
  const { effects, logger } = services;
  const counts = { media_checked: 0, media_problems: 0 };
  const begun = new Set<string>();
  const limit = pLimit(CHECKS_MAX);
  let nextAt: Date | null = null;
  let passBeganMs: number | null = null;
  let hasFreed = false;

  const check = async (item: MediaToCheck, isAgain: boolean, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    const checked = await checkOne(item, services, signal);
    // It was cut short, and says nothing of the file.
    if (signal.aborted) return;
    const recorded = await store.recordMedia([checked]);
    begun.delete(lookOf(item));
    counts.media_checked += 1;
    if (checked.problem !== null) counts.media_problems += 1;
    else if (isAgain && recorded > 0) hasFreed = true;
  };

  /** Looks at all that is due; answers in how many milliseconds the next look is, by the database's clock. */
  const pass = async (signal: AbortSignal): Promise<number> => {
    nextAt = null;
    passBeganMs = effects.monotonicMs();
    try {
      for (let batch = 0; batch < BATCHES_MAX && !signal.aborted; batch += 1) {
        const { items, again, now, next_at } = await store.mediaDue(BATCH_MAX);
        const fresh = items.filter((item) => !begun.has(lookOf(item)));
        if (fresh.length === 0) {
          nextAt = next_at === null ? null : new Date(next_at);
          return (nextAt?.getTime() ?? Number.POSITIVE_INFINITY) - Date.parse(now);
        }
        for (const item of fresh) begun.add(lookOf(item));
        await Promise.all(fresh.map((item) => limit(check, item, again.includes(item.post_id), signal)));
      }
      return Number.POSITIVE_INFINITY;
    } finally {
      passBeganMs = null;
    }
  };

  return {
    async work(published, signal) {
      hasFreed = false;
      try {
        for (;;) {
          const isLast = published.aborted;
          const waitMs = await pass(signal);
          if (isLast || signal.aborted) break;
          await effects.sleep(Math.min(waitMs, PASS_MS_MAX), AbortSignal.any([published, signal]));
        }
      } catch (error) {
        // They are looked at again in the next run, and in any case when the post goes out.
        if (!(error instanceof RpcError)) throw error;
        logger.warn({ err: error }, 'media check failed');
      } finally {
        nextAt = null;
      }
      return { hasFreed };
    },
    nextAt(now) {
      if (passBeganMs === null) return nextAt;
      const isPatient = effects.monotonicMs() - passBeganMs < PATIENCE_MS;
      return isPatient ? new Date(now.getTime() + ASK_AGAIN_MS) : null;
    },
    counts: () => ({ ...counts }),
  };
}

/**
 * Names a look at a post as it is now: one that did not come to its end is not begun again, unless
 * its media are changed.
 */
function lookOf({ post_id, media }: MediaToCheck): string {
  return `${post_id} ${JSON.stringify(media)}`;
}

async function checkOne(
  { post_id, media }: MediaToCheck,
  { media: fetcher, effects, logger }: Pick<JobServices, 'media' | 'effects' | 'logger'>,
  signal: AbortSignal,
): Promise<CheckedMedia> {
  const fetched = await fetchMedia(media, fetcher, effects, signal);
  if (fetched.ok) return { post_id, media, problem: null };
  const { problem, detail, retryable } = fetched;
  logger.warn({ post_id, problem, retryable }, 'post media unusable');
  return { post_id, media, problem: { problem, detail, retryable } };
}
