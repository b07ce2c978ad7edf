/**
 * Files that a post is published with: fetched from a URL, judged by their bytes.
 *
 * A URL is an operator's input, so it reaches public addresses only; see `fetcher.ts`. A fetch never
 * throws: it answers with the file, or with a problem that says what to do.
 */

export type MediaKind = 'image' | 'video' | 'document';

export interface MediaFile {
  /** Without a path, and with the extension of what it is. */
  readonly name: string;
  /** From the bytes, not from a header. */
  readonly mimeType: string;
  readonly kind: MediaKind;
  readonly bytes: Uint8Array;
}

/**
 * Why there is no file.
 *
 * Each is looked at again later; `retryable` says whether it is expected to go away by itself.
 *
 * | problem | what happened |
 * | --- | --- |
 * | `media_unreachable` | no answer, a broken one, too slow, 429 or a 5xx: worth another try |
 * | `media_gone` | 404 or 410, or another refusal of the server's: the URL must be changed |
 * | `media_forbidden` | a URL that is not fetched: its scheme, its credentials, an address that is not public |
 * | `media_too_large` | more than 15 MB, as it came or unpacked |
 * | `media_type` | nothing that a post can carry; its detail says what it is |
 */
export interface MediaProblem {
  readonly problem: 'media_unreachable' | 'media_gone' | 'media_forbidden' | 'media_too_large' | 'media_type';
  /** What to do about it, for people. Without the URL's query, which may hold a token. */
  readonly detail: string;
  readonly retryable: boolean;
}

export type FetchedMedia = ({ readonly ok: true } & MediaFile) | ({ readonly ok: false } & MediaProblem);

export interface MediaFetcher {
  /** @param signal ends it early, as `media_unreachable` */
  fetch(url: string, signal?: AbortSignal): Promise<FetchedMedia>;
  close(): Promise<void>;
}
