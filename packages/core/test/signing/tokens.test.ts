import { describe, expect, it } from 'vitest';
import { bearerTokenOf, isSameSecret, nameOfToken } from '../../src/signing/index.ts';

describe('isSameSecret', () => {
  it.each([
    { given: 'secret', expected: 'secret', is: true },
    { given: 'secret', expected: 'Secret', is: false },
    { given: 'secret', expected: 'secret ', is: false },
    { given: 'secre', expected: 'secret', is: false },
    { given: '', expected: 'secret', is: false },
    { given: 'pässwörd🔑', expected: 'pässwörd🔑', is: true },
    { given: 'a'.repeat(10_000), expected: 'a'.repeat(10_000), is: true },
    { given: 'a'.repeat(10_000), expected: 'a'.repeat(9_999), is: false },
  ])('#%$: $is', ({ given, expected, is }) => {
    expect(isSameSecret(given, expected)).toBe(is);
  });
});

describe('nameOfToken', () => {
  const known = [
    ['ada', 'token-ada'],
    ['ben', 'token-ben'],
    ['ben-next', 'token-ben-2'],
  ] as const;

  it.each([
    { given: 'token-ada', name: 'ada' },
    { given: 'token-ben', name: 'ben' },
    { given: 'token-ben-2', name: 'ben-next' },
    { given: 'token', name: null },
    { given: 'ada', name: null },
    { given: '', name: null },
  ])('"$given" is $name', ({ given, name }) => {
    expect(nameOfToken(given, known)).toBe(name);
  });

  it('knows nobody where no token is known', () => {
    expect(nameOfToken('token-ada', [])).toBeNull();
    expect(nameOfToken('', [])).toBeNull();
  });
});

describe('bearerTokenOf', () => {
  it.each([
    { header: 'Bearer secret', token: 'secret' },
    { header: 'bearer secret', token: 'secret' },
    { header: 'BEARER Secret=', token: 'Secret=' },
    { header: 'Bearer  secret', token: ' secret' }, // no token has a space, so it is nobody's
    { header: 'Bearer ', token: null },
    { header: 'Bearer', token: null },
    { header: 'Bearersecret', token: null },
    { header: 'Basic secret', token: null },
    { header: 'secret', token: null },
    { header: '', token: null },
  ])('of $header is $token', ({ header, token }) => {
    expect(bearerTokenOf(header)).toBe(token);
  });
});
