/** Tables and lists of facts, as text. */
import Table from 'cli-table3';
import { NOTHING, onOneLine } from './words.ts';

/** Plain lines, no colour codes, and none between two rows. */
const LOOK = {
  style: { head: [], border: [] },
  chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
};

export interface Column<Row> {
  readonly head: string;
  /** The cell's text; null shows that there is nothing. */
  readonly of: (row: Row) => string | number | null;
  /** Characters at most; longer text is wrapped. As wide as its content by default. */
  readonly width?: number;
  /** Whether a word may be broken: of what has no spaces, the rest would be cut off. */
  readonly breaksWords?: boolean;
}

/** A table with a row each; numbers stand at the right. */
export function table<Row>(rows: readonly Row[], columns: ReadonlyArray<Column<Row>>): string {
  const cells = rows.map((row) => columns.map(({ of }) => of(row)));
  const isNumeric = columns.map((_, column) => cells.every((row) => typeof row[column] === 'number'));
  const shown = new Table({
    ...LOOK,
    head: columns.map(({ head }) => head),
    colAligns: isNumeric.map((numeric) => (numeric ? 'right' : 'left')),
    colWidths: columns.map(({ head, width }, column) =>
      width === undefined ? null : widthOf([head, ...cells.map((row) => row[column])], width),
    ),
    wordWrap: true,
  });
  for (const row of cells) {
    shown.push(
      row.map((cell, column) => ({
        content: cell === null || cell === '' ? NOTHING : String(cell),
        wrapOnWordBoundary: columns[column]?.breaksWords !== true,
      })),
    );
  }
  return shown.toString();
}

/** As wide as the longest, up to `max`; a border's two spaces belong to it. */
const widthOf = (cells: ReadonlyArray<string | number | null | undefined>, max: number): number =>
  Math.min(max, longest(cells.map((cell) => String(cell ?? NOTHING)))) + 2;

/** Any number of texts: a call may not have as many arguments. */
const longest = (texts: readonly string[]): number =>
  texts.reduce((length, text) => Math.max(length, text.length), 0);

/** Names and values below each other; what is undefined is left out. */
export function facts(
  pairs: ReadonlyArray<readonly [name: string, value: string | number | undefined]>,
): string {
  const known = pairs.filter(([, value]) => value !== undefined);
  const width = longest(known.map(([name]) => name));
  return known.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** A cell with a text from elsewhere. */
export const textCell = (text: string | null): string | null => (text === null ? null : onOneLine(text));
