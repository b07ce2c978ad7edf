export { createMediaFetcher, type MediaFetcherOptions } from './fetcher.ts';
export type { FetchedMedia, MediaFetcher, MediaFile, MediaKind, MediaProblem } from './media.ts';
export { checkMediaSet, MEDIA_SET_BYTES_MAX, type MediaSetProblem } from './media-set.ts';
