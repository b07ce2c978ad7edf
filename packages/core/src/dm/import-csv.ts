/**
 * A campaign as a CSV file: read as a whole, checked as a whole, queued as a whole or not at all.
 *
 * Columns: `account` (the LinkedIn account's name), `recipient_id`, `message`, and optionally
 * `send_at`, `priority`, `dedupe_key`, `chat_id`, `campaign_id`, `lead_id`. UTF-8, comma-separated,
 * quoted as RFC 4180 says. Line breaks of any kind are taken as one kind, also within a message.
 */
import { CsvError, parse } from 'csv-parse/sync';
import type { Enqueued, NewMessage } from './store.ts';

const REQUIRED = ['account', 'recipient_id', 'message'] as const;
const OPTIONAL = ['send_at', 'priority', 'dedupe_key', 'chat_id', 'campaign_id', 'lead_id'] as const;
const COLUMNS: ReadonlySet<string> = new Set([...REQUIRED, ...OPTIONAL]);

/** Rows in one file, as many as one call of `dm_enqueue` takes. */
const ROWS_MAX = 10_000;

/** What a byte that is no UTF-8 was read as, and NUL, which Postgres does not keep. */
const UNREADABLE = /[\uFFFD\0]/;

/** A row that the queue refuses. */
export interface RefusedRow {
  /** Counted from 0. */
  readonly row: number;
  readonly field: string | null;
  readonly problem: string;
}

/** Where a campaign is queued: the database itself, or the job API before it. */
export interface CsvQueue {
  /** The ids of the accounts with these names; a name may be of none, or of several. */
  accountsNamed(names: readonly string[]): Promise<ReadonlyArray<{ id: string; account_name: string }>>;
  /** Queues all or none; the refused rows if there are any. */
  enqueue(rows: readonly NewMessage[]): Promise<Enqueued | readonly RefusedRow[]>;
}

export interface CsvProblem {
  /** The line of the file, counted from 1; null for what is about the file as a whole. */
  readonly line: number | null;
  /** The column, or null for what is about the whole row. */
  readonly field: string | null;
  readonly problem: string;
}

/** A file that was not imported. Nothing of it was queued; every problem is listed. */
export class CsvImportError extends Error {
  override readonly name = 'CsvImportError';
  /** In the order of the file. */
  readonly problems: readonly CsvProblem[];

  constructor(problems: readonly CsvProblem[]) {
    super(
      [
        `Nothing was imported: ${problems.length} problem(s).`,
        ...problems.map(({ line, field, problem }) => {
          const where = [line === null ? null : `line ${line}`, field]
            .filter((part) => part !== null)
            .join(', ');
          return `  ${where === '' ? '' : `${where}: `}${problem}`;
        }),
      ].join('\n'),
    );
    this.problems = problems;
  }
}

interface CsvRow {
  readonly line: number;
  readonly record: Readonly<Record<string, string>>;
}

/**
 * Queues every message of a CSV file.
 *
 * @param text the file's content
 * @throws {CsvImportError} if anything in it is wrong: then nothing is queued
 */
export async function importCsv(queue: CsvQueue, text: string): Promise<Enqueued> {
  const rows = readRows(text);
  const names = new Set(rows.map(({ record }) => record.account ?? ''));
  const accounts = await queue.accountsNamed([...names].filter((name) => name !== ''));
  const idsByName = new Map<string, string[]>();
  for (const { id, account_name } of accounts) {
    idsByName.set(account_name, [...(idsByName.get(account_name) ?? []), id]);
  }

  const checked = rows.map((row) => {
    const ids = idsByName.get(row.record.account ?? '') ?? [];
    const problems = [...accountProblems(row, ids.length), ...unreadableFields(row)];
    // Without an account the row is refused, and all others with it.
    return { problems, message: toMessage(row.record, problems.length === 0 ? ids[0] : undefined) };
  });

  // Asked even where a row is wrong already, so that one answer lists all that is wrong.
  const answer = await queue.enqueue(checked.map(({ message }) => message));
  if ('enqueued' in answer) return answer;
  const problems = answer
    .filter(({ field }) => field !== 'linkedin_account_id')
    .map(({ row, field, problem }): CsvProblem => ({ line: rows[row]?.line ?? null, field, problem }));
  const all = [...checked.flatMap((row) => row.problems), ...problems];
  throw new CsvImportError(all.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)));
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

function readRows(text: string): CsvRow[] {
  let parsed: Array<{ record: Record<string, string>; info: { lines: number } }>;
  try {
    parsed = parse(text.replace(/\r\n?/g, '\n'), {
      bom: true,
      info: true,
      skip_empty_lines: true,
      columns: (header: string[]) => checkHeader(header.map((name) => name.trim())),
    }) as unknown as typeof parsed;
  } catch (error) {
    if (error instanceof CsvError) {
      const line = typeof error.lines === 'number' ? error.lines : null;
      throw new CsvImportError([{ line, field: null, problem: syntaxProblem(error.code) }]);
    }
    throw error;
  }
  if (parsed.length === 0)
    throw new CsvImportError([{ line: null, field: null, problem: 'the file has no rows' }]);
  if (parsed.length > ROWS_MAX) {
    const problem = `the file has ${parsed.length} rows, of ${ROWS_MAX} at most`;
    throw new CsvImportError([{ line: null, field: null, problem }]);
  }
  // `lines` is the line on which the row ends.
  return parsed.map(({ record, info }) => ({ record, line: info.lines - linesWithin(record) }));
}

/** Line breaks inside a row's quoted fields: the row began so many lines before it ended. */
function linesWithin(record: Readonly<Record<string, string>>): number {
  return Object.values(record).reduce((sum, value) => sum + (value.match(/\n/g)?.length ?? 0), 0);
}

/** What is wrong with the form of a row. The parser's own words quote the row, and that is a message. */
function syntaxProblem(code: string): string {
  switch (code) {
    case 'CSV_RECORD_INCONSISTENT_COLUMNS':
      return 'the row has more or fewer columns than the header';
    case 'INVALID_OPENING_QUOTE':
      return 'a quote stands within a field: the field must be in quotes, and the quote doubled';
    case 'CSV_INVALID_CLOSING_QUOTE':
    case 'CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE':
      return 'something follows the quote that ends a field: a quote within a field must be doubled';
    case 'CSV_QUOTE_NOT_CLOSED':
      return 'a quote is opened and never closed';
    default:
      return `the row is not of the form of a CSV file (${code})`;
  }
}

/** What other programs put between columns where commas belong. */
const SEPARATORS = { ';': 'semicolons', '\t': 'tabs' } as const;

function checkHeader(header: readonly string[]): string[] {
  for (const [separator, name] of Object.entries(SEPARATORS)) {
    if (header.length === 1 && header[0]?.includes(separator)) {
      const problem = `the columns are separated by ${name}; they must be separated by commas`;
      throw new CsvImportError([{ line: 1, field: null, problem }]);
    }
  }
  const problems = [
    ...REQUIRED.filter((name) => !header.includes(name)).map((name) => ({
      name,
      problem: 'this column is missing',
    })),
    ...header
      .filter((name) => !COLUMNS.has(name))
      .map((name) => ({ name, problem: 'this column is not known' })),
    ...header
      .filter((name, index) => header.indexOf(name) !== index)
      .map((name) => ({ name, problem: 'this column stands twice' })),
  ];
  if (problems.length > 0) {
    throw new CsvImportError(problems.map(({ name, problem }) => ({ line: 1, field: name, problem })));
  }
  return [...header];
}

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
    send_at: given('send_at'),
    // What is no number is passed on as it is, and refused with its row and field.
    priority: priority !== null && /^\d+$/.test(priority) ? Number(priority) : ((priority ?? 0) as number),
    dedupe_key: given('dedupe_key'),
    chat_id: given('chat_id'),
    campaign_id: given('campaign_id'),
    lead_id: given('lead_id'),
  };
}
