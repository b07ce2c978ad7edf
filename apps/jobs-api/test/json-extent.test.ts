import { describe, expect, it } from 'vitest';
import { jsonExtent } from '../src/json-extent.ts';

describe('jsonExtent', () => {
  it.each([
    { text: '', parts: 1, depth: 0 },
    { text: '1', parts: 1, depth: 0 },
    { text: '[]', parts: 2, depth: 1 },
    { text: '{"a":[1,2,{}]}', parts: 7, depth: 3 },
    { text: '[[],[]]', parts: 5, depth: 2 },
    { text: '"[{,:"', parts: 1, depth: 0 }, // in a string it parts nothing
    { text: '["\\"[", "\\\\"]', parts: 3, depth: 1 },
    { text: '"never closed [', parts: 1, depth: 0 },
    { text: '"\\', parts: 1, depth: 0 },
    { text: ']]][', parts: 2, depth: 0 },
  ])('$text has $parts parts and is $depth deep', ({ text, parts, depth }) => {
    expect(jsonExtent(text)).toEqual({ parts, depth });
  });
});
