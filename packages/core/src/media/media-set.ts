/** What may stand together in one post: up to 20 images, or one video, or one document. */
import type { MediaFile, MediaKind } from './media.ts';

export const IMAGES_MAX = 20;

/** Bytes of all files together: a process holds several posts at once. */
export const MEDIA_SET_BYTES_MAX = 60 * 1_048_576;

export interface MediaSetProblem {
  readonly problem: 'media_set';
  /** What to do about it, for people. */
  readonly detail: string;
}

/** @param files files, or their kinds where they are not fetched yet; then their size is not checked */
export function checkMediaSet(
  files: ReadonlyArray<MediaKind | Pick<MediaFile, 'kind' | 'bytes'>>,
): MediaSetProblem | null {
  const kinds = files.map((file) => (typeof file === 'string' ? file : file.kind));
  if (!kinds.every((kind) => kind === kinds[0])) {
    return problem('Images, a video and a document cannot stand together: keep those of one kind.');
  }
  if (kinds[0] === 'image' && kinds.length > IMAGES_MAX) {
    return problem(`A post takes up to ${IMAGES_MAX} images, not ${kinds.length}: remove some.`);
  }
  if (kinds[0] !== 'image' && kinds.length > 1) {
    return problem(`A post takes one ${kinds[0]}, not ${kinds.length}: remove some.`);
  }
  const bytes = files.reduce((sum, file) => sum + (typeof file === 'string' ? 0 : file.bytes.length), 0);
  if (bytes <= MEDIA_SET_BYTES_MAX) return null;
  return problem(
    `All files of a post may have ${MEDIA_SET_BYTES_MAX / 1_048_576} MB together: use smaller ones.`,
  );
}

function problem(detail: string): MediaSetProblem {
  return { problem: 'media_set', detail };
}
