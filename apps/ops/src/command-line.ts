/** What commands take: values checked as they are read, with words for what is wrong. */
import { InvalidArgumentError, Option } from 'commander';
import { isSafeAddress } from './env.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const INSTANT = /^[12]\d{3}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

const DAY = /^[12]\d{3}-\d\d-\d\d$/;

const SPAN = /^(\d{1,4})(m|h|d)$/;

const SPAN_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

export const isId = (text: string): boolean => UUID.test(text);

/** A whole number from `min` to `max`. */
export const integer =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d{1,9}$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };

export function id(text: string): string {
  if (!isId(text)) throw new InvalidArgumentError('It must be an id (a UUID).');
  return text.toLowerCase();
}

export const ids = (text: string, earlier: readonly string[] | undefined): string[] => [
  ...(earlier ?? []),
  id(text),
];

/** Several of an option that may be given more than once, also after its `--no-…`. */
export const several = (text: string, earlier: readonly string[] | false | undefined): string[] => [
  ...(earlier || []),
  text,
];

export function day(text: string): string {
  if (!DAY.test(text) || new Date(`${text}T00:00:00Z`).toJSON()?.slice(0, 10) !== text) {
    throw new InvalidArgumentError('It must be a day, such as 2026-12-01.');
  }
  return text;
}

/** An instant in ISO 8601 with a zone, or a span from now on: `30m`, `2h`, `3d`. Gives it in UTC. */
export function instantFromNow(text: string, now = new Date()): string {
  const [, count, unit] = SPAN.exec(text) ?? [];
  if (count !== undefined) {
    return new Date(now.getTime() + Number(count) * SPAN_MS[unit as keyof typeof SPAN_MS]).toISOString();
  }
  const at = readInstant(text);
  if (at === null) {
    throw new InvalidArgumentError(
      'It must be an instant with its zone, such as 2026-12-01T09:30:00Z, or a span from now on: 30m, 2h, 3d.',
    );
  }
  return at;
}

/** An instant in ISO 8601 with a zone. Gives it in UTC. */
export function instantWithZone(text: string): string {
  const at = readInstant(text);
  if (at === null) {
    throw new InvalidArgumentError('It must be an instant with its zone, such as 2026-12-01T09:30:00Z.');
  }
  return at;
}

function readInstant(text: string): string | null {
  const at = new Date(text);
  return INSTANT.test(text) && !Number.isNaN(at.getTime()) ? at.toISOString() : null;
}

/** As commander calls it: its second argument is the value before this one, and not the time. */
export const instantArgument = (text: string): string => instantFromNow(text);

export function address(text: string): string {
  if (!isSafeAddress(text)) {
    throw new InvalidArgumentError(
      'It must be an https address without a password; http only on this machine (http://127.0.0.1:…).',
    );
  }
  return text;
}

/** A name that says something. */
export function nonEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

export const LIMIT = new Option('--limit <n>', 'rows on a page, 1 to 200').argParser(integer(1, 200));
export const CURSOR = new Option('--cursor <cursor>', 'go on after this page').argParser(nonEmpty);

/** What stands below a command's help. */
export const examples = (...lines: readonly string[]): string =>
  `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  $ ops ${line}`).join('\n')}`;
