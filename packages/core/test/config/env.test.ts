import Type from 'typebox';
import { describe, expect, it } from 'vitest';
import { commaSeparated, EnvironmentError, readEnv } from '../../src/config/index.ts';

const Schema = Type.Object({
  API_URL: Type.String({ pattern: '^https?://' }),
  API_KEY: Type.String({ minLength: 8 }),
  PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 3_000 }),
  ENGINE: Type.Union([Type.Literal('in-process'), Type.Literal('bullmq')], { default: 'in-process' }),
  REDIS_URL: Type.Optional(Type.String({ pattern: '^rediss?://' })),
});

const GOOD = { API_URL: 'https://api.example.com', API_KEY: 'long-enough' };
const CANARY = 'canary-7f3a';

const refusalOf = (source: Record<string, string | undefined>): EnvironmentError => {
  try {
    readEnv(Schema, source);
  } catch (error) {
    if (error instanceof EnvironmentError) return error;
    throw error;
  }
  throw new Error('it was accepted');
};

describe('readEnv', () => {
  it.each<{ given: Record<string, string | undefined>; read: Record<string, unknown> }>([
    { given: {}, read: { PORT: 3_000, ENGINE: 'in-process' } },
    { given: { PORT: '8080', ENGINE: 'bullmq' }, read: { PORT: 8_080, ENGINE: 'bullmq' } },
    { given: { PORT: '0' }, read: { PORT: 0, ENGINE: 'in-process' } },
    { given: { PORT: '80.5' }, read: { PORT: 80, ENGINE: 'in-process' } },
    { given: { PORT: '65535' }, read: { PORT: 65_535, ENGINE: 'in-process' } },
    // Empty, or nothing but white space, is unset: the default stands, the optional one is absent.
    { given: { PORT: '', REDIS_URL: '  ' }, read: { PORT: 3_000, ENGINE: 'in-process' } },
    { given: { PORT: undefined }, read: { PORT: 3_000, ENGINE: 'in-process' } },
    { given: { API_KEY: '  long-enough\n' }, read: { PORT: 3_000, ENGINE: 'in-process' } },
    {
      given: { REDIS_URL: 'redis://r' },
      read: { PORT: 3_000, ENGINE: 'in-process', REDIS_URL: 'redis://r' },
    },
    // What the schema does not name is dropped.
    { given: { HOME: '/root' }, read: { PORT: 3_000, ENGINE: 'in-process' } },
  ])('$given → $read', ({ given, read }) => {
    expect(readEnv(Schema, { ...GOOD, ...given })).toEqual({ ...GOOD, ...read });
  });

  it('freezes what it read', () => {
    expect(Object.isFrozen(readEnv(Schema, GOOD))).toBe(true);
  });

  it.each<{ given: Record<string, string | undefined>; message: string; variables: string[] }>([
    {
      given: { API_URL: undefined, API_KEY: '', PORT: 'eighty' },
      message: '(missing: API_KEY, API_URL; invalid: PORT)',
      variables: ['API_KEY', 'API_URL', 'PORT'],
    },
    { given: { API_KEY: undefined }, message: '(missing: API_KEY)', variables: ['API_KEY'] },
    { given: { API_KEY: 'short' }, message: '(invalid: API_KEY)', variables: ['API_KEY'] },
    { given: { PORT: '-1' }, message: '(invalid: PORT)', variables: ['PORT'] },
    { given: { PORT: '65536' }, message: '(invalid: PORT)', variables: ['PORT'] },
    { given: { PORT: '80x' }, message: '(invalid: PORT)', variables: ['PORT'] },
    { given: { ENGINE: 'kafka' }, message: '(invalid: ENGINE)', variables: ['ENGINE'] },
    { given: { REDIS_URL: 'http://r' }, message: '(invalid: REDIS_URL)', variables: ['REDIS_URL'] },
    {
      given: { REDIS_URL: 'r', ENGINE: 'k', PORT: 'p', API_KEY: 'k', API_URL: 'u' },
      message: '(invalid: API_KEY, API_URL, ENGINE, PORT, REDIS_URL)',
      variables: ['API_KEY', 'API_URL', 'ENGINE', 'PORT', 'REDIS_URL'],
    },
  ])('$given is refused as a whole: $message', ({ given, message, variables }) => {
    const error = refusalOf({ ...GOOD, ...given });
    expect(error.message).toBe(`Bad environment ${message}. docs/environment.md says what each one means.`);
    expect(error.variables).toEqual(variables);
  });

  it('tells no value, neither in the message nor anywhere else on the error', () => {
    const error = refusalOf({
      API_URL: CANARY,
      API_KEY: CANARY.slice(0, 7),
      PORT: CANARY,
      ENGINE: CANARY,
      REDIS_URL: CANARY,
    });
    expect(error.variables).toHaveLength(5);
    const everything = [error.message, error.stack, String(error.cause), JSON.stringify(error)].join('\n');
    expect(everything).not.toContain(CANARY.slice(0, 7));
  });
});

describe('commaSeparated', () => {
  it.each([
    { value: 'a,b', entries: ['a', 'b'] },
    { value: ' a , b ,', entries: ['a', 'b'] },
    { value: 'one', entries: ['one'] },
    { value: ' ,, ', entries: [] },
    { value: '', entries: [] },
  ])('"$value" → $entries', ({ value, entries }) => {
    expect(commaSeparated(value)).toEqual(entries);
  });
});
