/**
 * Media are looked at ahead of time, so that a person sees a day before that a file is gone or too large.
 *
 * Nothing is kept of them: at publication they are fetched anew.
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

/** Batches in one run: what is left is looked at in the next. */
const BATCHES_MAX = 50;

export interface MediaChecks {
  readonly media_checked: number;
  readonly media_problems: number;
}

/**
 * Looks at the media of every post due within a day, until none is left or `signal` aborts.
 *
 * Each is looked at once a run, those never looked at first, so that a host which hangs holds up its own posts.
 */
export async function checkMedia(
  store: Pick<PostStore, 'mediaDue' | 'recordMedia'>,
  services: Pick<JobServices, 'media' | 'effects' | 'logger'>,
  signal: AbortSignal,
): Promise<MediaChecks> {
  let [media_checked, media_problems] = [0, 0];
  const seen = new Set<string>();
  const limit = pLimit(CHECKS_MAX);
  const check = async (item: MediaToCheck): Promise<void> => {
    if (signal.aborted) return;
    const checked = await checkOne(item, services, signal);
    // It was cut short, and says nothing of the file.
    if (signal.aborted) return;
    await store.recordMedia([checked]);
    media_checked += 1;
    if (checked.problem !== null) media_problems += 1;
  };
  try {
    for (let batch = 0; batch < BATCHES_MAX && !signal.aborted; batch += 1) {
      const { items } = await store.mediaDue(BATCH_MAX);
      const fresh = items.filter(({ post_id }) => !seen.has(post_id));
      if (fresh.length === 0) break;
      for (const { post_id } of fresh) seen.add(post_id);
      await Promise.all(fresh.map((item) => limit(check, item)));
    }
  } catch (error) {
    // They are looked at again in the next run, and in any case when the post goes out.
    if (!(error instanceof RpcError)) throw error;
    services.logger.warn({ err: error }, 'media could not be checked ahead of time');
  }
  return { media_checked, media_problems };
}

async function checkOne(
  { post_id, media }: MediaToCheck,
  { media: fetcher, effects, logger }: Pick<JobServices, 'media' | 'effects' | 'logger'>,
  signal: AbortSignal,
): Promise<CheckedMedia> {
  const fetched = await fetchMedia(media, fetcher, effects, signal);
  if (fetched.ok) return { post_id, media, problem: null };
  const { problem, detail, retryable } = fetched;
  logger.warn({ post_id, problem, retryable }, 'media of a post cannot be used');
  return { post_id, media, problem: { problem, detail, retryable } };
}
