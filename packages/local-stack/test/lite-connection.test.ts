import { describe, expect, it } from 'vitest';

import { isoTimestamp } from '../src/iso-timestamp.ts';
import { keepSqlState } from '../src/lite-connection.ts';
import { encodeJsonTexts } from '../src/rpc-body.ts';

describe('isoTimestamp', () => {
  it.each([
    ['2026-11-24 10:00:00+00', '2026-11-24T10:00:00+00:00'],
    ['2026-11-24 10:00:00.123456-03', '2026-11-24T10:00:00.123456-03:00'],
    ['2026-11-24 10:00:00+05:30', '2026-11-24T10:00:00+05:30'],
    ['2026-11-24 10:00:00', '2026-11-24T10:00:00'],
    ['infinity', 'infinity'],
    ['-infinity', '-infinity'],
  ])('%s → %s', (printed, iso) => expect(isoTimestamp(printed)).toBe(iso));
});

describe('keepSqlState', () => {
  const failure = (code: string) => Object.assign(new Error('why'), { code, detail: 'd', hint: 'h' });

  it.each([
    ['DM001', 400],
    ['P0001', 400],
    ['23514', 400],
    ['40001', 500],
    ['57014', 500],
    ['57P01', 503],
    ['28000', 403],
    ['PGRST001', 503],
    ['PGRST003', 504],
  ])('%s keeps code, detail and hint, with status %i', (code, status) => {
    const kept = keepSqlState(failure(code)) as Error & { code: string; detail: string };
    expect(kept.code).toBe('PGRST');
    expect(JSON.parse(kept.message)).toEqual({ code, message: 'why', details: 'd', hint: 'h' });
    expect(JSON.parse(kept.detail)).toEqual({ status, headers: {} });
  });

  it.each(['42501', '42P01', '23505', '22P02', 'PGRST', 'PT404', 'ECONNREFUSED'])(
    '%s is left to lite',
    (code) => {
      const error = failure(code);
      expect(keepSqlState(error)).toBe(error);
    },
  );

  it('leaves what is no error of a database', () => {
    expect(keepSqlState('text')).toBe('text');
    const plain = new Error('plain');
    expect(keepSqlState(plain)).toBe(plain);
  });
});

describe('encodeJsonTexts', () => {
  const functions = [
    { schema: 'public', name: 'f', arg_names: ['j', 't'], arg_types: ['jsonb', 'text'] },
    { schema: 'public', name: 'mixed', arg_names: ['x'], arg_types: ['jsonb'] },
    { schema: 'public', name: 'mixed', arg_names: ['x'], arg_types: ['text'] },
  ];
  const encoded = async (route: string, body: string) => {
    const headers = { 'content-type': 'application/json', 'content-length': '1', apikey: 'k' };
    const request = new Request(`http://localhost${route}`, { method: 'POST', body, headers });
    const answer = await encodeJsonTexts(request, functions);
    expect(answer.headers.get('apikey')).toBe('k');
    return answer.text();
  };

  it.each([
    ['a text for a json parameter', '/rest/v1/rpc/f', '{"j":"a","t":"b"}', '{"j":"\\"a\\"","t":"b"}'],
    ['an object', '/rest/v1/rpc/f', '{"j":{"a":"b"}}', '{"j":{"a":"b"}}'],
    ['a parameter that is json in one function only', '/rest/v1/rpc/mixed', '{"x":"a"}', '{"x":"a"}'],
    ['a function nobody knows', '/rest/v1/rpc/none', '{"j":"a"}', '{"j":"a"}'],
    ['a table', '/rest/v1/f', '{"j":"a"}', '{"j":"a"}'],
    ['a body that is no JSON', '/rest/v1/rpc/f', '{"j":', '{"j":'],
  ])('%s', async (_, route, body, expected) => expect(await encoded(route, body)).toBe(expected));
});
