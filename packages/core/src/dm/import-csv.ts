/**
 * A campaign as a CSV file: read as a whole, checked as a whole, queued as a whole or not at all.
 *
 * Columns: `account` (the LinkedIn account's name), `recipient_id`, `message`, and optionally
 * `send_at`, `priority`, `dedupe_key`, `chat_id`, `campaign_id`, `lead_id`. UTF-8, comma-separated,
 * quoted as RFC 4180 says.
 */
import { CsvError, parse } from 'csv-parse/sync';
import { type Rpc, RpcError } from '../rpc/index.ts';
import { createDmStore, type Enqueued, type NewMessage } from './store.ts';

const REQUIRED = ['account', 'recipient_id', 'message'] as const;
const OPTIONAL = ['send_at', 'priority', 'dedupe_key', 'chat_id', 'campaign_id', 'lead_id'] as const;
const COLUMNS: ReadonlySet<string> = new Set([...REQUIRED, ...OPTIONAL]);

/** Rows in one file, as many as one call of `dm_enqueue` takes. */
const ROWS_MAX = 10_000;

/** The SQLSTATE of `dm_enqueue` for bad rows. */
const BAD_ROWS = 'DM021';

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
export async function importCsv(rpc: Rpc, text: string): Promise<Enqueued> {
  const rows = readRows(text);
  const accounts = await rpc.call<ReadonlyArray<{ id: string; account_name: string }>>('account_list');
  const idsByName = new Map<string, string[]>();
  for (const { id, account_name } of accounts) {
    idsByName.set(account_name, [...(idsByName.get(account_name) ?? []), id]);
  }

  const accountProblems = rows.flatMap(({ line, record }): CsvProblem[] => {
    const ids = idsByName.get(record.account ?? '') ?? [];
    if (ids.length === 1) return [];
    const problem = ids.length === 0 ? 'no account has this name' : `${ids.length} accounts have this name`;
    return [{ line, field: 'account', problem: `${problem}: "${record.account ?? ''}"` }];
  });

  try {
    // Asked even where an account is wrong, so that one answer lists all that is wrong.
    return await createDmStore(rpc).enqueue(rows.map(({ record }) => toMessage(record, idsByName)));
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== BAD_ROWS) throw error;
    const refused = JSON.parse(error.detail ?? '[]') as ReadonlyArray<{
      row: number;
      field: string;
      problem: string;
    }>;
    const problems = refused
      .filter(({ field }) => field !== 'linkedin_account_id')
      .map(({ row, field, problem }): CsvProblem => ({ line: rows[row]?.line ?? null, field, problem }));
    throw new CsvImportError([...accountProblems, ...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0)));
  }
}

function readRows(text: string): CsvRow[] {
  let parsed: Array<{ record: Record<string, string>; info: { lines: number } }>;
  try {
    parsed = parse(text, {
      bom: true,
      info: true,
      skip_empty_lines: true,
      columns: (header: string[]) => checkHeader(header.map((name) => name.trim())),
    }) as unknown as typeof parsed;
  } catch (error) {
    if (error instanceof CsvError) {
      const line = typeof error.lines === 'number' ? error.lines : null;
      throw new CsvImportError([{ line, field: null, problem: error.message }]);
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
  return Object.values(record).reduce((sum, value) => sum + (value.match(/\r\n|\n|\r/g)?.length ?? 0), 0);
}

function checkHeader(header: readonly string[]): string[] {
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

function toMessage(
  record: Readonly<Record<string, string>>,
  idsByName: ReadonlyMap<string, string[]>,
): NewMessage {
  const given = (name: (typeof OPTIONAL)[number]): string | null => {
    const value = record[name]?.trim() ?? '';
    return value === '' ? null : value;
  };
  const priority = given('priority');
  return {
    linkedin_account_id: idsByName.get(record.account ?? '')?.[0] ?? '',
    recipient_id: record.recipient_id?.trim() ?? '',
    message: record.message ?? '',
    send_at: given('send_at'),
    // What is no number is passed on as it is, and refused with its row and field.
    priority: priority !== null && /^\d+$/.test(priority) ? Number(priority) : ((priority ?? 0) as number),
    dedupe_key: given('dedupe_key'),
    chat_id: given('chat_id'),
    campaign_id: given('campaign_id'),
    lead_id: given('lead_id'),
  };
}
