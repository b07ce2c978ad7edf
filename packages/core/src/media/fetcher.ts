/**
 * Fetches a file over HTTP, from public addresses only, within a size and a time.
 *
 * Redirects are followed here and not by the client, so that each hop is judged like the first.
 * What a server packs though it was asked not to is unpacked, within the same size.
 */
import { Agent, type Dispatcher, request } from 'undici';
import { type Effects, realEffects, withTimeout } from '../effects/index.ts';
import { codingsOf, unpack } from './content-coding.ts';
import { FILE_TYPES, type FileKind, fileKindOf, refusedFileOf } from './file-kind.ts';
import type { FetchedMedia, MediaFetcher, MediaProblem } from './media.ts';
import { connectToPublic, ForbiddenAddressError, type Resolve, resolveByDns } from './public-address.ts';

export interface MediaFetcherOptions {
  /** Origins that may be reached wherever they are, such as the database's own storage. */
  readonly allowedOrigins: readonly string[];
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
  /** How long one fetch may take as a whole, redirects included, in milliseconds. Default 60 s. */
  readonly timeoutMs?: number;
  /** Default 15 MB. */
  readonly bytesMax?: number;
  /** Default: the process's own clock. */
  readonly effects?: Pick<Effects, 'sleep'>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const TIMEOUT_MS = 60_000;

/** What Unipile takes in one file. */
const BYTES_MAX = 15 * 1_048_576;
const MEGABYTE = 1_048_576;

const URL_LENGTH_MAX = 4_096;
const REDIRECTS_MAX = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Refusals that may be over in a while. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429]);

const NAME_LENGTH_MAX = 100;

export function createMediaFetcher(options: MediaFetcherOptions): MediaFetcher {
  const { timeoutMs = TIMEOUT_MS, bytesMax = BYTES_MAX, resolve = resolveByDns } = options;
  const effects = options.effects ?? realEffects;
  const allowed = new Set(options.allowedOrigins.map((origin) => new URL(origin).origin));
  // No connection is kept: files come from anywhere, and rarely twice from one place.
  const anywhere = new Agent({ allowH2: false, pipelining: 0, connect: { timeout: CONNECT_TIMEOUT_MS } });
  const toPublic = new Agent({
    allowH2: false,
    pipelining: 0,
    connect: connectToPublic(resolve, CONNECT_TIMEOUT_MS),
  });
  const dispatcherFor = (url: URL): Dispatcher => (allowed.has(url.origin) ? anywhere : toPublic);
  return {
    async fetch(text, signal) {
      try {
        const url = parseUrl(text);
        return await withTimeout(effects, timeoutMs, async (limit) => {
          const until = signal === undefined ? limit : AbortSignal.any([signal, limit]);
          return fileOf(url, await download(url, { dispatcherFor, until, bytesMax }), bytesMax);
        });
      } catch (error) {
        if (error instanceof MediaError) return { ok: false, ...error.problem };
        if (error instanceof ForbiddenAddressError) return { ok: false, ...NOT_PUBLIC };
        return { ok: false, ...unreachable(`The file could not be fetched (${codeOf(error)})`) };
      }
    },
    async close() {
      await Promise.all([anywhere.close(), toPublic.close()]);
    },
  };
}

/** Within this file: a problem on its way to the answer. */
class MediaError extends Error {
  override readonly name = 'MediaError';
  readonly problem: MediaProblem;

  constructor(problem: MediaProblem) {
    super(problem.problem);
    this.problem = problem;
  }
}

const NOT_PUBLIC: MediaProblem = {
  problem: 'media_forbidden',
  detail: 'The URL leads to an address that is not public: use one that anyone can open.',
  retryable: false,
};

function forbidden(detail: string): MediaError {
  return new MediaError({ problem: 'media_forbidden', detail, retryable: false });
}

function unreachable(what: string): MediaProblem {
  return {
    problem: 'media_unreachable',
    detail: `${what}: it is tried again; open the URL to see whether its server is up.`,
    retryable: true,
  };
}

/** @throws {MediaError} media_forbidden */
function parseUrl(text: string): URL {
  const url = text.length <= URL_LENGTH_MAX && URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw forbidden('The URL is none, or too long: use one that begins with https://.');
  checkUrl(url);
  return url;
}

/** @throws {MediaError} media_forbidden */
function checkUrl({ protocol, username, password }: URL): void {
  if (protocol !== 'https:' && protocol !== 'http:') {
    throw forbidden('The URL is not of the web: use one that begins with https://.');
  }
  if (username !== '' || password !== '') {
    throw forbidden('The URL has a name or a password in it: use one that needs none.');
  }
}

/** A body as it came. */
interface Body {
  readonly bytes: Buffer;
  /** What it is packed in by its header, as it was applied. */
  readonly codings: readonly string[];
}

interface DownloadOptions {
  readonly dispatcherFor: (url: URL) => Dispatcher;
  readonly until: AbortSignal;
  readonly bytesMax: number;
}

/** @throws {MediaError}, and whatever a connection may throw */
async function download(first: URL, { dispatcherFor, until, bytesMax }: DownloadOptions): Promise<Body> {
  let url = first;
  for (let hops = 0; hops <= REDIRECTS_MAX; hops += 1) {
    const answer = await request(url, {
      headers: { accept: '*/*', 'accept-encoding': 'identity' },
      dispatcher: dispatcherFor(url),
      signal: until,
    });
    const { location } = answer.headers;
    const isRedirect = REDIRECTS.has(answer.statusCode) && typeof location === 'string';
    if (!isRedirect) return read(url, answer, bytesMax);
    discard(answer.body);
    if (!URL.canParse(location, url.href)) throw refused(url, 'answered with a redirect to nowhere');
    url = new URL(location, url);
    checkUrl(url);
  }
  throw refused(first, `redirects more than ${REDIRECTS_MAX} times`);
}

/** @throws {MediaError} */
async function read(
  url: URL,
  { statusCode, headers, body }: Dispatcher.ResponseData,
  bytesMax: number,
): Promise<Body> {
  const isSuccess = statusCode >= 200 && statusCode < 300;
  const isTooLarge = Number(headers['content-length'] ?? 0) > bytesMax;
  if (!isSuccess || isTooLarge) discard(body);
  if (statusCode >= 500 || LATER.has(statusCode)) {
    throw new MediaError(unreachable(`${url.host} answered ${statusCode}`));
  }
  if (!isSuccess) throw refused(url, `answered ${statusCode}`);
  if (isTooLarge) throw tooLarge(bytesMax);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += (chunk as Buffer).length;
    if (size > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk as Buffer);
  }
  return { bytes: Buffer.concat(chunks), codings: codingsOf(headers['content-encoding']) };
}

/** Ends an answer that nobody reads. That it breaks off then is what was wanted. */
function discard(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => {});
  body.destroy();
}

function refused(url: URL, how: string): MediaError {
  return new MediaError({
    problem: 'media_gone',
    detail: `${url.host} ${how}: use a URL at which the file can be opened without signing in.`,
    retryable: false,
  });
}

function tooLarge(bytesMax: number): MediaError {
  return new MediaError({
    problem: 'media_too_large',
    detail: `The file has more than ${bytesMax / MEGABYTE} MB: use a smaller one.`,
    retryable: false,
  });
}

/** @throws {MediaError} media_type, media_too_large, media_unreachable */
async function fileOf(url: URL, body: Body, bytesMax: number): Promise<FetchedMedia> {
  // A proxy may have unpacked a file and kept the header: what is a file already is taken as it is.
  const asItCame = await fileKindOf(body.bytes);
  if (asItCame !== null) return mediaFile(url, asItCame, body.bytes);
  const bytes = body.bytes.length === 0 ? body.bytes : await unpacked(url, body, bytesMax);
  const kind = await fileKindOf(bytes);
  if (kind !== null) return mediaFile(url, kind, bytes);
  const { what, remedy } = await refusedFileOf(bytes);
  throw typeProblem(url, `is ${what}`, remedy);
}

/** @throws {MediaError} */
async function unpacked(url: URL, { bytes, codings }: Body, bytesMax: number): Promise<Buffer> {
  const result = await unpack(bytes, codings, bytesMax);
  switch (result.kind) {
    case 'unpacked':
      return result.bytes;
    case 'too_large':
      throw tooLarge(bytesMax);
    case 'broken':
      throw new MediaError(unreachable(`${url.host} answered with ${result.coding} that cannot be unpacked`));
    case 'unknown':
      throw typeProblem(url, `is ${result.how}`, 'let its server send it as it is, and use');
  }
}

const typeProblem = (url: URL, is: string, remedy: string): MediaError =>
  new MediaError({
    problem: 'media_type',
    detail: `What ${url.host} answered ${is}: ${remedy} ${FILE_TYPES}.`,
    retryable: false,
  });

function mediaFile(url: URL, { kind, mimeType, extension }: FileKind, bytes: Buffer): FetchedMedia {
  return { ok: true, name: `${stemOf(url)}.${extension}`, mimeType, kind, bytes };
}

/** The last part of the path as a file's name, without its extension. */
function stemOf({ pathname }: URL): string {
  // A slash may be written as %2F.
  const last = decoded(pathname).split(/[/\\]/).at(-1) ?? '';
  const stem = last.replace(/\.[^.]*$/, '').replace(/[^\p{L}\p{N} ._-]/gu, '');
  const name = Array.from(stem).slice(0, NAME_LENGTH_MAX).join('').trim();
  return name === '' ? 'file' : name;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : String(name);
}
