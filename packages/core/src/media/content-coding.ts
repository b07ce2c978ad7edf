/** What a body is once the codings are undone that a server says it has (RFC 9110, `content-encoding`). */
import { promisify } from 'node:util';
import zlib from 'node:zlib';

type Unpack = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const inflate: Unpack = promisify(zlib.inflate);
const inflateRaw: Unpack = promisify(zlib.inflateRaw);

const UNPACK: Readonly<Record<string, Unpack>> = {
  gzip: promisify(zlib.gunzip),
  'x-gzip': promisify(zlib.gunzip),
  br: promisify(zlib.brotliDecompress),
  zstd: promisify(zlib.zstdDecompress),
  // Some servers leave out the frame that the standard asks for.
  deflate: (bytes, options) => (hasZlibFrame(bytes) ? inflate : inflateRaw)(bytes, options),
};

/** What changes nothing: the second is left behind by an upload to S3. */
const NO_CODING: ReadonlySet<string> = new Set(['', 'identity', 'aws-chunked']);

/** Codings of one body. Each is undone within the limit, and none needs more than one. */
const CODINGS_MAX = 3;

export type Unpacked =
  | { readonly kind: 'unpacked'; readonly bytes: Buffer }
  | { readonly kind: 'too_large' }
  /** The bytes are not what `coding` makes, or not all of it. */
  | { readonly kind: 'broken'; readonly coding: string }
  | { readonly kind: 'unknown'; readonly how: string };

/** The codings that a header names, as they were applied. */
export const codingsOf = (header: string | readonly string[] | undefined): string[] =>
  [header ?? []]
    .flat()
    .join(',')
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => !NO_CODING.has(coding));

/** @param bytesMax of each step: what a few KB may be unpacked to has no other bound */
export async function unpack(
  packed: Buffer,
  codings: readonly string[],
  bytesMax: number,
): Promise<Unpacked> {
  if (codings.length > CODINGS_MAX) {
    return { kind: 'unknown', how: `encoded more than ${CODINGS_MAX} times` };
  }
  let bytes = packed;
  for (const coding of codings.toReversed()) {
    const step = UNPACK[coding];
    if (step === undefined) return { kind: 'unknown', how: `encoded as ${shown(coding)}` };
    try {
      bytes = await step(bytes, { maxOutputLength: bytesMax });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ERR_BUFFER_TOO_LARGE') return { kind: 'too_large' };
      return { kind: 'broken', coding };
    }
  }
  return { kind: 'unpacked', bytes };
}

/** RFC 1950: the method is deflate, and the two bytes are a multiple of 31. */
const hasZlibFrame = (bytes: Buffer): boolean =>
  bytes.length >= 2 && ((bytes[0] ?? 0) & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0;

const shown = (coding: string): string => (/^[\w.-]{1,40}$/.test(coding) ? coding : 'something unknown');
