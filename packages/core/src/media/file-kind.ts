/** What a file is, from its bytes: LinkedIn takes few types, and a header may say anything. */
import { fileTypeFromBuffer } from 'file-type';
import type { MediaKind } from './media.ts';

export interface FileKind {
  readonly kind: MediaKind;
  readonly mimeType: string;
  readonly extension: string;
}

const OFFICE = 'application/vnd.openxmlformats-officedocument';

const KINDS: readonly FileKind[] = [
  { kind: 'image', mimeType: 'image/jpeg', extension: 'jpg' },
  { kind: 'image', mimeType: 'image/png', extension: 'png' },
  { kind: 'image', mimeType: 'image/gif', extension: 'gif' },
  { kind: 'image', mimeType: 'image/webp', extension: 'webp' },
  { kind: 'video', mimeType: 'video/mp4', extension: 'mp4' },
  { kind: 'document', mimeType: 'application/pdf', extension: 'pdf' },
  { kind: 'document', mimeType: 'application/msword', extension: 'doc' },
  { kind: 'document', mimeType: `${OFFICE}.wordprocessingml.document`, extension: 'docx' },
  { kind: 'document', mimeType: 'application/vnd.ms-powerpoint', extension: 'ppt' },
  { kind: 'document', mimeType: `${OFFICE}.presentationml.presentation`, extension: 'pptx' },
];

/** The types a post can carry, for people. */
export const FILE_TYPES = 'JPEG, PNG, GIF, WebP, MP4, PDF, Word or PowerPoint';

/** Streams that only the one program writes; both are the same container otherwise. */
const WORD_STREAM = Buffer.from('WordDocument', 'utf16le');
const POWERPOINT_STREAM = Buffer.from('PowerPoint Document', 'utf16le');

/** Null for anything that a post cannot carry. */
export async function fileKindOf(bytes: Uint8Array): Promise<FileKind | null> {
  const detected = await fileTypeFromBuffer(bytes);
  if (detected === undefined) return null;
  const mimeType =
    detected.ext === 'cfb'
      ? officeTypeOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
      : detected.mime;
  return KINDS.find((kind) => kind.mimeType === mimeType) ?? null;
}

/** What people take for a file of a post and is none, by the type that its bytes show. */
const NAMES: Readonly<Record<string, string>> = {
  'image/heic': 'a HEIC image',
  'image/heif': 'a HEIC image',
  'image/heic-sequence': 'a HEIC image',
  'image/heif-sequence': 'a HEIC image',
  'image/avif': 'an AVIF image',
  'image/tiff': 'a TIFF image',
  'image/bmp': 'a BMP image',
  'video/quicktime': 'a QuickTime video',
  'video/webm': 'a WebM video',
  'video/matroska': 'a Matroska video',
  'application/zip': 'a ZIP archive',
  [`${OFFICE}.spreadsheetml.sheet`]: 'an Excel workbook',
};

/** Characters of a text that tell what it is. */
const TEXT_HEAD_BYTES = 1_024;

/** What follows a byte order mark, white space and comments. */
const HTML = /^\s*(?:<!--[\s\S]*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b/i;
const SVG = /^\s*(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]*?-->\s*|<!doctype\s+svg[^>]*>\s*)*<svg\b/i;

export interface RefusedFile {
  /** With its article: `a HEIC image`. */
  readonly what: string;
  /** What to do, up to the types that a post can carry. */
  readonly remedy: string;
}

const USE = 'use';

/** What a file is that a post cannot carry, for people. */
export async function refusedFileOf(bytes: Uint8Array): Promise<RefusedFile> {
  if (bytes.length === 0) return { what: 'nothing at all', remedy: 'see whether the file is there, and use' };
  const name = NAMES[(await fileTypeFromBuffer(bytes))?.mime ?? ''];
  if (name !== undefined) return { what: name, remedy: USE };
  const head = new TextDecoder().decode(bytes.subarray(0, TEXT_HEAD_BYTES));
  if (HTML.test(head)) {
    return { what: 'a web page', remedy: 'use the address of the file itself, without signing in:' };
  }
  if (SVG.test(head)) return { what: 'an SVG image', remedy: USE };
  const anError = 'open the address to read it, and use';
  if (/^\s*[{[]/.test(head)) return { what: 'JSON, and may be an error', remedy: anError };
  if (/^\s*<\?xml\b/.test(head)) return { what: 'XML, and may be an error', remedy: anError };
  return { what: 'no file that a post can carry', remedy: USE };
}

function officeTypeOf(bytes: Buffer): string | null {
  if (bytes.includes(WORD_STREAM)) return 'application/msword';
  return bytes.includes(POWERPOINT_STREAM) ? 'application/vnd.ms-powerpoint' : null;
}
