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

function officeTypeOf(bytes: Buffer): string | null {
  if (bytes.includes(WORD_STREAM)) return 'application/msword';
  return bytes.includes(POWERPOINT_STREAM) ? 'application/vnd.ms-powerpoint' : null;
}
