import { describe, expect, it } from 'vitest';
import { checkMediaSet, type MediaKind } from '../../src/media/index.ts';

const of = (count: number, kind: MediaKind): MediaKind[] => Array.from({ length: count }, () => kind);
const sized = (megabytes: number) => ({
  kind: 'image' as const,
  bytes: new Uint8Array(megabytes * 1_048_576),
});

describe('checkMediaSet', () => {
  it.each([
    { name: 'nothing', kinds: [], isTaken: true },
    { name: 'one image', kinds: of(1, 'image'), isTaken: true },
    { name: '20 images', kinds: of(20, 'image'), isTaken: true },
    { name: '21 images', kinds: of(21, 'image'), isTaken: false },
    { name: 'one video', kinds: of(1, 'video'), isTaken: true },
    { name: 'two videos', kinds: of(2, 'video'), isTaken: false },
    { name: 'one document', kinds: of(1, 'document'), isTaken: true },
    { name: 'two documents', kinds: of(2, 'document'), isTaken: false },
    { name: 'an image and a video', kinds: ['image', 'video'] as const, isTaken: false },
    { name: 'a document and an image', kinds: ['document', 'image'] as const, isTaken: false },
  ])('$name: taken $isTaken', ({ kinds, isTaken }) => {
    const problem = checkMediaSet(kinds);
    expect(problem === null).toBe(isTaken);
    if (problem !== null)
      expect(problem).toEqual({ problem: 'media_set', detail: expect.stringMatching(/\.$/) });
  });

  it.each([
    { megabytes: [15, 15, 15, 15], isTaken: true },
    { megabytes: [15, 15, 15, 15, 1], isTaken: false },
  ])('$megabytes MB together: taken $isTaken', ({ megabytes, isTaken }) => {
    expect(checkMediaSet(megabytes.map(sized)) === null).toBe(isTaken);
  });
});
