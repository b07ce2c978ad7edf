/**
 * The log: each message that is logged at info or above stands in docs/logs.md with its level and
 * fields, and no other.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

/** What the child loggers add: the table does not repeat it. */
const ADDED = ['job', 'run_id', 'slot', 'slice', 'request_id'];

interface LogCall {
  readonly file: string;
  readonly level: string;
  /** Null where it is no literal. */
  readonly message: string | null;
  /** The names in the literal of its fields. */
  readonly fields: readonly string[];
  /** Whether it has fields besides, which no literal names. */
  readonly hasMore: boolean;
}

/**
 * `logger.info(`, `request.log.warn(`; and whatever else is called on a logger, which nobody could
 * look up.
 */
const CALL = /\b(?:logger|log)\s*\.\s*(\w+)\s*\(|\b(?:logger|log)\s*\[/g;

const LEVELS = ['info', 'warn', 'error', 'fatal'];
const OTHERS = ['trace', 'debug', 'child'];

/**
 * Text from `start`, which is just behind an opening bracket, to its closing one, cut at the commas
 * between.
 */
function argumentsAt(source: string, start: number): string[] {
  const args = [''];
  let quote = '';
  for (let at = start, depth = 0; at < source.length; at += 1) {
    const char = source[at] ?? '';
    if (quote !== '') {
      if (char === quote && source[at - 1] !== '\\') quote = '';
    } else if ('\'"`'.includes(char)) quote = char;
    else if ('([{'.includes(char)) depth += 1;
    else if (')]}'.includes(char)) depth -= 1;
    if (depth < 0) return args.map((arg) => arg.trim()).filter((arg) => arg !== '');
    if (char === ',' && depth === 0 && quote === '') args.push('');
    else args[args.length - 1] += char;
  }
  throw new Error('a call without an end');
}

function fieldsOf(argument: string): Pick<LogCall, 'fields' | 'hasMore'> {
  if (!argument.startsWith('{')) return { fields: [], hasMore: true };
  const members = argumentsAt(argument, 1);
  const named = members.filter((member) => !member.startsWith('...'));
  return {
    fields: named.map((member) => /^\w+/.exec(member)?.[0] ?? member),
    hasMore: named.length < members.length,
  };
}

function logCallsOf(file: string): LogCall[] {
  const source = read(file)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '');
  return [...source.matchAll(CALL)].flatMap((match): LogCall[] => {
    const level = match[1] ?? 'computed';
    if (OTHERS.includes(level)) return [];
    const args = LEVELS.includes(level) ? argumentsAt(source, match.index + match[0].length) : [];
    const message = /^'([^']+)'$/.exec(args.at(-1) ?? '')?.[1] ?? null;
    const fields = args.length === 2 ? fieldsOf(args[0] ?? '') : { fields: [], hasMore: args.length !== 1 };
    return [{ file, level, message, ...fields }];
  });
}

const calls = globSync('{apps/jobs-api,apps/web,packages/core,packages/otel}/src/**/*.{ts,tsx}', {
  cwd: ROOT,
})
  .sort()
  .flatMap(logCallsOf);

/** Rows of the table: message, level, when, fields. */
const documented = [
  ...read('docs/logs.md').matchAll(
    /^\| `([^`|]+)` \| (info|warn|error|fatal)((?:, (?:info|warn|error|fatal))*) \| [^|]+ \|([^|]*)\|$/gm,
  ),
].map(([, message = '', level = '', more = '', fields = '']) => ({
  message,
  levels: [level, ...more.split(', ').filter((name) => name !== '')],
  fields: [...fields.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
}));

it('each message is a literal, and its level is named in the call', () => {
  expect(calls.length).toBeGreaterThan(50);
  expect(
    calls.filter(({ message }) => message === null).map(({ file, level }) => `${file}: ${level}`),
  ).toEqual([]);
});

it('each message stands in the table with its level, and no other', () => {
  const logged = new Set(calls.map(({ message, level }) => `${level}: ${message}`));
  const told = documented.flatMap(({ message, levels }) => levels.map((level) => `${level}: ${message}`));
  expect(told.sort()).toEqual([...logged].sort());
});

it('each row names the fields of its calls, and no other', () => {
  for (const { message, fields } of documented) {
    const own = calls.filter((call) => call.message === message);
    const named = new Set(own.flatMap((call) => call.fields).filter((name) => !ADDED.includes(name)));
    const told = fields.filter((name) => !ADDED.includes(name));
    expect(told, message).toEqual(expect.arrayContaining([...named]));
    if (own.some(({ hasMore }) => hasMore)) continue;
    expect(told.sort(), message).toEqual([...named].sort());
  }
});
