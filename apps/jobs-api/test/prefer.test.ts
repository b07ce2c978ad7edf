import { describe, expect, it } from 'vitest';
import { preferredWaitSeconds } from '../src/prefer.ts';

describe('preferredWaitSeconds', () => {
  it.each([
    { header: undefined, seconds: null },
    { header: '', seconds: null },
    { header: 'wait=10', seconds: 10 },
    { header: 'Wait = 10', seconds: 10 },
    { header: 'wait="10"', seconds: 10 },
    { header: 'wait=10; foo=bar', seconds: 10 },
    { header: 'respond-async, wait=10', seconds: 10 },
    { header: ['respond-async', 'wait=10'], seconds: 10 },
    { header: 'wait=10, wait=20', seconds: 10 }, // the first counts
    { header: 'wait=0', seconds: 0 },
    { header: 'wait=300', seconds: 300 }, // the cap, exactly
    { header: 'wait=301', seconds: 300 },
    { header: 'wait=999999999', seconds: 300 },
    { header: 'wait=9999999999', seconds: null },
    { header: 'wait', seconds: null },
    { header: 'wait=-1', seconds: null },
    { header: 'wait=1.5', seconds: null },
    { header: 'wait=soon', seconds: null },
    { header: 'await=10', seconds: null },
  ])('$header → $seconds', ({ header, seconds }) => {
    expect(preferredWaitSeconds(header)).toBe(seconds);
  });
});
