import { describe, expect, it } from 'vitest';
import { jsonExtent } from '../../src/json/index.ts';

describe('jsonExtent', () => {
  it.each([
    { text: '', parts: 1, values: 0, depth: 0 },
    { text: '1', parts: 1, values: 0, depth: 0 },
    { text: '[]', parts: 2, values: 1, depth: 1 },
    { text: '{"a":[1,2,{}]}', parts: 7, values: 5, depth: 3 },
    { text: '[[],[]]', parts: 5, values: 4, depth: 2 },
    { text: '"[{,:"', parts: 1, values: 0, depth: 0 }, // in a string it parts nothing
    { text: '["\\"[", "\\\\"]', parts: 3, values: 2, depth: 1 },
    { text: '"never closed [', parts: 1, values: 0, depth: 0 },
    { text: '"\\', parts: 1, values: 0, depth: 0 },
    { text: ']]][', parts: 2, values: 1, depth: 0 },
  ])('$text has $parts parts, $values values, and is $depth deep', ({ text, ...extent }) => {
    expect(jsonExtent(text)).toEqual(extent);
  });
});
