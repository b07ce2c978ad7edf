/**
 * The rows of a CSV file by the names of its header, as people's programs write such files.
 *
 * What means nothing is left out: rows and columns without a value, cells behind the last column,
 * the line `sep=,` that Excel reads. What could mean two things is refused.
 */
import { CsvError, parse } from 'csv-parse/sync';
import { CsvImportError, type CsvProblem, fileProblem } from './csv-problem.ts';
import { readCsvText } from './csv-text.ts';

export interface CsvRow {
  /** On which it begins, counted from 1. */
  readonly line: number;
  readonly record: Readonly<Record<string, string>>;
}

export interface CsvColumns {
  readonly required: readonly string[];
  readonly optional: readonly string[];
  readonly rowsMax: number;
}

interface Cells {
  readonly line: number;
  readonly cells: readonly string[];
}

/** Lines above a header that are looked through for it. */
const PREAMBLE_ROWS_MAX = 20;

/** What separates columns, by how it is called. */
const SEPARATORS: Readonly<Record<string, string>> = { ',': 'commas', ';': 'semicolons', '\t': 'tabs' };

/** What Excel is told by the first line; it may have been padded and quoted as any other. */
const SEPARATOR_LINE = /^"?sep=([,;|\t])"?[,;|\t]*(?=\n|$)/i;

/** @throws {CsvImportError} naming all that is wrong with the form of the file */
export function readCsvTable(content: string | Uint8Array, columns: CsvColumns): readonly CsvRow[] {
  const { text, isUtf16 } = readCsvText(content);
  const said = SEPARATOR_LINE.exec(text)?.[1];
  // Its line stays, so that the others keep their numbers.
  const table = text.replace(SEPARATOR_LINE, '');
  const firstLine = /[^\n]+/.exec(table)?.[0] ?? '';
  const separator = said ?? (isUtf16 && firstLine.includes('\t') ? '\t' : ',');
  const [header, ...rows] = cellsOf(table, separator);
  if (header === undefined) throw fileProblem('the file has no rows');
  const names = namesOf(header, rows, separator, said !== undefined, columns);
  if (rows.length === 0) throw fileProblem('the file has no rows');
  if (rows.length > columns.rowsMax) {
    throw fileProblem(`the file has ${rows.length} rows, of ${columns.rowsMax} at most`);
  }
  const problems = rows.flatMap((row) => shapeProblem(row, names));
  if (problems.length > 0) throw new CsvImportError(problems);
  return rows.map(({ line, cells }) => ({
    line,
    record: Object.fromEntries(
      names.map((name, at) => [name, cells[at] ?? '']).filter(([name]) => name !== ''),
    ),
  }));
}

const isEmpty = (cells: readonly string[]): boolean => cells.every((cell) => cell.trim() === '');

/** Every row that has a value in it. */
function cellsOf(text: string, separator: string): Cells[] {
  try {
    const parsed = parse(text, {
      delimiter: separator,
      info: true,
      skip_empty_lines: true,
      relax_column_count: true,
    }) as unknown as Array<{ record: string[]; info: { lines: number } }>;
    return parsed
      .filter(({ record }) => !isEmpty(record))
      .map(({ record, info }) => ({ line: info.lines - linesWithin(record), cells: record }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw fileProblem(syntaxProblem(error.code), typeof error.lines === 'number' ? error.lines : null);
  }
}

/** Line breaks inside a row's quoted fields: the row began so many lines before it ended. */
const linesWithin = (cells: readonly string[]): number =>
  cells.reduce((sum, value) => sum + (value.match(/\n/g)?.length ?? 0), 0);

/** What is wrong with the form of a row. The parser's own words quote the row, and that is a message. */
function syntaxProblem(code: string): string {
  switch (code) {
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

/** The names of the columns as they stand; empty for a column that has none. */
function namesOf(
  header: Cells,
  rows: readonly Cells[],
  separator: string,
  isSaid: boolean,
  { required, optional }: CsvColumns,
): string[] {
  const names = header.cells.map((name) => name.trim());
  const { line } = header;
  const other = Object.keys(SEPARATORS).find((sign) => sign !== separator && names[0]?.includes(sign));
  if (names.length === 1 && other !== undefined) {
    const [are, should] = [SEPARATORS[other], SEPARATORS[separator] ?? `“${separator}”`];
    throw fileProblem(
      isSaid
        ? `the first line says that ${should} separate the columns, and ${are} do`
        : `the columns are separated by ${are}; they must be separated by commas`,
      line,
    );
  }
  const isHeader = ({ cells }: Cells): boolean =>
    required.every((name) => cells.some((cell) => cell.trim() === name));
  const below = isHeader(header) ? undefined : rows.slice(0, PREAMBLE_ROWS_MAX).find(isHeader);
  if (below !== undefined) {
    throw fileProblem(`the header is on line ${below.line}: delete what stands above it`, line);
  }
  const known: ReadonlySet<string> = new Set([...required, ...optional]);
  const named = names.filter((name) => name !== '');
  const problems = [
    ...required
      .filter((name) => !named.includes(name))
      .map((name) => [name, 'this column is missing'] as const),
    ...named.filter((name) => !known.has(name)).map((name) => [name, 'this column is not known'] as const),
    ...named
      .filter((name, at) => named.indexOf(name) !== at)
      .map((name) => [name, 'this column stands twice'] as const),
  ];
  if (problems.length === 0) return names;
  throw new CsvImportError(problems.map(([field, problem]) => ({ line, field, problem })));
}

function shapeProblem({ line, cells }: Cells, names: readonly string[]): CsvProblem[] {
  const named = names.findLastIndex((name) => name !== '') + 1;
  if (cells.length < named || !isEmpty(cells.slice(names.length))) {
    return [{ line, field: null, problem: 'the row has more or fewer columns than the header' }];
  }
  const nameless = names.findIndex((name, at) => name === '' && (cells[at] ?? '').trim() !== '');
  if (nameless === -1) return [];
  return [{ line, field: null, problem: `column ${nameless + 1} has a value, and no name in the header` }];
}
