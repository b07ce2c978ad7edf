/** The media of a post: fetched, and judged together. */
import pLimit from 'p-limit';
import type { Effects } from '../effects/index.ts';
import {
  checkMediaSet,
  type FetchedMedia,
  MEDIA_SET_BYTES_MAX,
  type MediaFetcher,
  type MediaFile,
} from '../media/index.ts';
import type { PostMedia, PostMediaProblem } from './store.ts';

/** Files of one post that are fetched at the same time. */
const FETCHES_MAX = 4;

/** How long all files of a post may take, in milliseconds. */
const FETCH_MS_MAX = 100_000;

export type PostFiles =
  | { readonly ok: true; readonly files: readonly MediaFile[] }
  | ({ readonly ok: false } & PostMediaProblem);

/**
 * Fetches every file, in order. The first that cannot be used ends it, and so does a set that
 * cannot stand together.
 *
 * @param signal ends it early, as unreachable
 */
export async function fetchMedia(
  media: readonly PostMedia[],
  fetcher: Pick<MediaFetcher, 'fetch'>,
  effects: Pick<Effects, 'sleep'>,
  signal: AbortSignal,
): Promise<PostFiles> {
  if (media.length === 0) return { ok: true, files: [] };
  const stop = new AbortController();
  const done = new AbortController();
  const timer = effects.sleep(FETCH_MS_MAX, done.signal).then(() => stop.abort());
  try {
    const until = AbortSignal.any([stop.signal, signal]);
    const limit = pLimit(FETCHES_MAX);
    let bytes = 0;
    const fetched = await Promise.all(
      media.map(({ url, name }) =>
        limit(async () => {
          const file = await fetcher.fetch(url, until);
          if (file.ok) bytes += file.bytes.length;
          // The others are of no use any more, and would only fill the memory.
          if (!file.ok || bytes > MEDIA_SET_BYTES_MAX) stop.abort();
          return file.ok && name ? { ...file, name } : file;
        }),
      ),
    );
    return judged(fetched);
  } finally {
    done.abort();
    await timer;
  }
}

function judged(fetched: readonly FetchedMedia[]): PostFiles {
  const files: MediaFile[] = [];
  for (const file of fetched) if (file.ok) files.push(file);
  // First, since a set that is too large cuts the others short.
  const set = checkMediaSet(files);
  if (set !== null) return { ok: false, ...set, retryable: false };
  // What was cut short by another's failure is unreachable too: one that will not go away by itself
  // says more.
  const problems = fetched.filter((file) => !file.ok);
  const problem = problems.find((file) => !file.retryable) ?? problems[0];
  if (problem !== undefined) {
    const place = media(fetched.indexOf(problem), fetched.length);
    return {
      ok: false,
      problem: problem.problem,
      detail: `${place}${problem.detail}`,
      retryable: problem.retryable,
    };
  }
  return { ok: true, files };
}

/** Which of several files is meant. */
function media(index: number, count: number): string {
  return count === 1 ? '' : `file ${index + 1}: `;
}
