import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileKindOf } from '../../src/media/file-kind.ts';
import { FILES } from './files.ts';

const OFFICE = 'application/vnd.openxmlformats-officedocument';

describe('fileKindOf', () => {
  it.each([
    { file: 'jpeg', kind: 'image', mimeType: 'image/jpeg', extension: 'jpg' },
    { file: 'png', kind: 'image', mimeType: 'image/png', extension: 'png' },
    { file: 'gif', kind: 'image', mimeType: 'image/gif', extension: 'gif' },
    { file: 'webp', kind: 'image', mimeType: 'image/webp', extension: 'webp' },
    { file: 'mp4', kind: 'video', mimeType: 'video/mp4', extension: 'mp4' },
    { file: 'pdf', kind: 'document', mimeType: 'application/pdf', extension: 'pdf' },
    { file: 'doc', kind: 'document', mimeType: 'application/msword', extension: 'doc' },
    { file: 'docx', kind: 'document', mimeType: `${OFFICE}.wordprocessingml.document`, extension: 'docx' },
    { file: 'ppt', kind: 'document', mimeType: 'application/vnd.ms-powerpoint', extension: 'ppt' },
    { file: 'pptx', kind: 'document', mimeType: `${OFFICE}.presentationml.presentation`, extension: 'pptx' },
  ] as const)('$file is a $kind', async ({ file, ...kind }) => {
    expect(await fileKindOf(FILES[file])).toEqual(kind);
  });

  it.each(['quickTime', 'heic', 'avif', 'xlsx', 'xls', 'zip', 'html', 'svg', 'empty'] as const)(
    '%s is nothing that a post can carry',
    async (file) => {
      expect(await fileKindOf(FILES[file])).toBeNull();
    },
  );

  it('says something about any bytes, and about any beginning of a file', async () => {
    const files = Object.values(FILES);
    const cut = fc
      .tuple(fc.constantFrom(...files), fc.double({ min: 0, max: 1, noNaN: true }))
      .map(([file, share]) => file.subarray(0, Math.floor(file.length * share)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(cut, fc.uint8Array({ maxLength: 300 })), async (bytes) => {
        const kind = await fileKindOf(bytes);
        expect(kind === null || typeof kind.mimeType === 'string').toBe(true);
      }),
    );
  });
});
