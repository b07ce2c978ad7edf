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
}

/** A table with a row each; numbers stand at the right. */
export function table<Row>(rows: readonly Row[], columns: ReadonlyArray<Column<Row>>): string {
  const isNumeric = columns.map(
    ({ of }) => rows.length > 0 && rows.every((row) => typeof of(row) === 'number'),
  );
  const shown = new Table({
    ...LOOK,
    head: columns.map(({ head }) => head),
    colAligns: isNumeric.map((numeric) => (numeric ? 'right' : 'left')),
    // A border's two spaces belong to the width.
    colWidths: columns.map(({ width }) => (width === undefined ? null : width + 2)),
    wordWrap: true,
  });
  for (const row of rows) {
    shown.push(
      columns.map(({ of }) => {
        const cell = of(row);
        return cell === null || cell === '' ? NOTHING : String(cell);
      }),
    );
  }
  return shown.toString();
}

/** Names and values below each other; what is undefined is left out. */
export function facts(
  pairs: ReadonlyArray<readonly [name: string, value: string | number | undefined]>,
): string {
  const known = pairs.filter(([, value]) => value !== undefined);
  const width = Math.max(0, ...known.map(([name]) => name.length));
  return known.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** A cell with a text from elsewhere. */
export const textCell = (text: string | null): string | null => (text === null ? null : onOneLine(text));
