/**
 * A campaign as a CSV file: read as a whole, checked as a whole, queued as a whole or not at all.
 *
 * Columns: `account` (the LinkedIn account's name), `recipient_id`, `message`, and optionally
 * `send_at`, `priority`, `dedupe_key`, `chat_id`, `campaign_id`, `lead_id`, `is_literal`. UTF-8 or
 * UTF-16, comma-separated or as its first line says (`sep=;`), quoted as RFC 4180 says. Line breaks
 * of any kind are taken as one kind, also within a message.
 */
import { CsvImportError, type CsvProblem, fileProblem } from './csv-problem.ts';
import { type CsvRow, readCsvTable } from './csv-table.ts';
import type { Enqueued, NewMessage, RowWarning } from './store.ts';

const REQUIRED = ['account', 'recipient_id', 'message'] as const;
const OPTIONAL = [
  'send_at',
  'priority',
  'dedupe_key',
  'chat_id',
  'campaign_id',
  'lead_id',
  'is_literal',
] as const;

/** Rows in one file, as many as one call of `dm_enqueue` takes. */
const ROWS_MAX = 10_000;

const MEGABYTE = 1_048_576;

/** What a byte that is no UTF-8 was read as, and NUL, which Postgres does not keep. */
const UNREADABLE = /[\uFFFD\0]/;

/** A row that the queue refuses. */
export interface RefusedRow {
  /** Counted from 0. */
  readonly row: number;
  readonly field: string | null;
  readonly problem: string;
  /** The row, or the message, that it cannot stand beside. */
  readonly twin_row?: number;
  readonly twin_id?: string;
}

export interface NamedAccount {
  readonly id: string;
  readonly account_name: string;
}

/** Where a campaign is queued: the database itself, or the job API before it. */
export interface CsvQueue {
  /** The ids of the accounts with these names; a name may be of none, or of several. */
  accountsNamed(names: readonly string[]): Promise<readonly NamedAccount[]>;
  /** All of them: asked where a name is nobody's as it stands. */
  everyAccount(): Promise<readonly NamedAccount[]>;
  /** Bytes of JSON that one call takes; without it, any number. */
  readonly bytesMax?: number;
  /** Queues all or none; the refused rows if there are any. */
  enqueue(rows: readonly NewMessage[]): Promise<Enqueued | readonly RefusedRow[]>;
}

/** A campaign that was queued, with what its author may not have meant. */
export interface Imported extends Enqueued {
  /** The first 1,000, in the order of the file. */
  readonly notes: readonly CsvProblem[];
}

/**
 * Queues every message of a CSV file.
 *
 * @param content the file's bytes, or its text where somebody has read it already
 * @throws {CsvImportError} if anything in it is wrong: then nothing is queued
 */
export async function importCsv(queue: CsvQueue, content: string | Uint8Array): Promise<Imported> {
  const rows = readCsvTable(content, { required: REQUIRED, optional: OPTIONAL, rowsMax: ROWS_MAX });
  const idsByName = await idsOf(queue, new Set(rows.map(({ record }) => record.account ?? '')));

  const checked = rows.map((row) => {
    const ids = idsByName.get(row.record.account ?? '') ?? [];
    const problems = [...accountProblems(row, ids.length), ...unreadableFields(row), ...shortenedKey(row)];
    // Without an account the row is refused, and all others with it.
    return { problems, message: toMessage(row.record, problems.length === 0 ? ids[0] : undefined) };
  });

  const messages = checked.map(({ message }) => message);
  checkSize(messages, queue.bytesMax);
  // Asked even where a row is wrong already, so that one answer lists all that is wrong.
  const answer = await queue.enqueue(messages);
  const told = (about: RefusedRow | RowWarning): CsvProblem => problemOf(rows, about);
  if ('enqueued' in answer) return { ...answer, notes: answer.warnings.map(told) };
  const unreadable = new Set(
    checked.flatMap((row) => row.problems).map(({ line, field }) => `${line} ${field}`),
  );
  const problems = answer
    .filter(({ field }) => field !== 'linkedin_account_id')
    .map(told)
    // Told above, in words that are about a file.
    .filter(({ line, field }) => !unreadable.has(`${line} ${field}`));
  const all = [...checked.flatMap((row) => row.problems), ...problems];
  throw new CsvImportError(all.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)));
}

/**
 * The ids of the accounts that each name means: of those that are called exactly so, or else of
 * those that look the same.
 */
async function idsOf(queue: CsvQueue, names: ReadonlySet<string>): Promise<ReadonlyMap<string, string[]>> {
  const given = [...names].filter((name) => name !== '');
  const exact = await queue.accountsNamed(given);
  const isExact = new Set(exact.map(({ account_name }) => account_name));
  const all = given.every((name) => isExact.has(name)) ? [] : await queue.everyAccount();
  return new Map(
    given.map((name) => {
      const meant = isExact.has(name)
        ? exact.filter(({ account_name }) => account_name === name)
        : all.filter(({ account_name }) => sightOf(account_name) === sightOf(name));
      return [name, meant.map(({ id }) => id)];
    }),
  );
}

/**
 * A name as it looks: a letter and its mark may be one character or two, and a space may be of any
 * kind, or several.
 */
const sightOf = (name: string): string => name.normalize('NFC').replace(/\s+/gu, ' ');

/** @throws {CsvImportError} if one call cannot take all of them: it would break off, and say nothing */
function checkSize(messages: readonly NewMessage[], bytesMax = Number.POSITIVE_INFINITY): void {
  const bytes = Buffer.byteLength(JSON.stringify({ messages }));
  if (bytes <= bytesMax) return;
  const [made, most] = [bytes, bytesMax].map((size) => `${(size / MEGABYTE).toFixed(1)} MB`);
  const parts = Math.ceil(bytes / bytesMax);
  throw fileProblem(
    `the file makes ${made} of messages, of ${most} at most in one call: split it in ${parts}`,
  );
}

/** What the queue says of a row, with the lines of the file: the row's, and its twin's. */
function problemOf(
  rows: readonly CsvRow[],
  { row, field, problem, twin_row, twin_id }: RefusedRow,
): CsvProblem {
  const twin = twin_row === undefined ? undefined : rows[twin_row];
  const where = twin === undefined ? twin_id : `line ${twin.line}`;
  return {
    line: rows[row]?.line ?? null,
    field,
    problem: where === undefined ? problem : `${problem}: ${where}`,
  };
}

function accountProblems({ line, record }: CsvRow, idCount: number): CsvProblem[] {
  if (idCount === 1) return [];
  const problem = idCount === 0 ? 'no account has this name' : `${idCount} accounts have this name`;
  return [{ line, field: 'account', problem: `${problem}: "${record.account ?? ''}"` }];
}

function unreadableFields({ line, record }: CsvRow): CsvProblem[] {
  const problem = 'has characters that cannot be read: save the file as UTF-8';
  return Object.entries(record)
    .filter(([, value]) => UNREADABLE.test(value))
    .map(([field]) => ({ line, field, problem }));
}

/** A long number as Excel shows it. Of several, many look the same then. */
const SHORTENED = /^\d(?:[.,]\d+)?E\+\d+$/;

function shortenedKey({ line, record }: CsvRow): CsvProblem[] {
  if (!SHORTENED.test(record.dedupe_key?.trim() ?? '')) return [];
  const problem = 'is a number that Excel has cut short: format its column as text';
  return [{ line, field: 'dedupe_key', problem }];
}

/**
 * Instants as other programs write them: a `t` or `z`, a space before the zone, and digits that no
 * clock here has.
 */
const WRITTEN_INSTANT =
  /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:(\.\d{1,6})\d*)? ?([Zz]|[+-]\d{2}(?::?\d{2})?)$/;

/** What is none is passed on as it is, and refused with its row. */
const instantOf = (text: string | null): string | null =>
  text?.replace(
    WRITTEN_INSTANT,
    (_, day: string, time: string, fraction: string | undefined, zone: string) =>
      `${day}T${time}${fraction ?? ''}${zone.toUpperCase()}`,
  ) ?? null;

function toMessage(record: Readonly<Record<string, string>>, accountId = ''): NewMessage {
  const textOf = (name: string): string => record[name]?.replaceAll('\0', '') ?? '';
  const given = (name: (typeof OPTIONAL)[number]): string | null => {
    const value = textOf(name).trim();
    return value === '' ? null : value;
  };
  const priority = given('priority');
  return {
    linkedin_account_id: accountId,
    recipient_id: textOf('recipient_id').trim(),
    message: textOf('message'),
    send_at: instantOf(given('send_at')),
    // What is no number is passed on as it is, and refused with its row and field.
    priority: priority !== null && /^\d+$/.test(priority) ? Number(priority) : ((priority ?? 0) as number),
    dedupe_key: given('dedupe_key'),
    chat_id: given('chat_id'),
    campaign_id: given('campaign_id'),
    lead_id: given('lead_id'),
    ...literalOf(given('is_literal')),
  };
}

/** What is neither true nor false is passed on as it is, and refused with its row and field. */
function literalOf(value: string | null): Pick<NewMessage, 'is_literal'> {
  if (value === null) return {};
  const known = { true: true, false: false }[value.toLowerCase()];
  return { is_literal: known ?? (value as unknown as boolean) };
}
