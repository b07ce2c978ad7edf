/** The door of the pages. */
import { describe, expect, it } from 'vitest';
import { entryOf } from '../src/ops-gate.ts';

const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;

describe('entryOf', () => {
  it.each([
    { given: basic('ops:token'), token: 'token', entry: 'open' },
    { given: basic(':token'), token: 'token', entry: 'open' },
    { given: basic('ops:to:ken'), token: 'to:ken', entry: 'open' },
    { given: basic('ops:tökén'), token: 'tökén', entry: 'open' },
    { given: basic('ops:token').replace('Basic', 'basic'), token: 'token', entry: 'open' },
    { given: null, token: 'token', entry: 'denied' },
    { given: '', token: 'token', entry: 'denied' },
    { given: 'Basic', token: 'token', entry: 'denied' },
    { given: 'Basic !!!', token: 'token', entry: 'denied' },
    { given: basic('token'), token: 'token', entry: 'denied' },
    { given: basic('token:'), token: 'token', entry: 'denied' },
    { given: basic('ops:token '), token: 'token', entry: 'denied' },
    { given: basic('ops:toke'), token: 'token', entry: 'denied' },
    { given: 'Bearer token', token: 'token', entry: 'denied' },
    { given: basic('ops:'), token: '', entry: 'closed' },
    { given: basic('ops:'), token: undefined, entry: 'closed' },
    { given: basic('ops:undefined'), token: undefined, entry: 'closed' },
    { given: null, token: undefined, entry: 'closed' },
  ])('$given for $token → $entry', ({ given, token, entry }) => {
    expect(entryOf(given, token)).toBe(entry);
  });
});
