/** What a benchmark reports: the machine, medians, and tables for docs/performance.md. */
import { cpus, release, totalmem } from 'node:os';

/** One line; every figure is of this machine alone. */
export function describeMachine(): string {
  const [first] = cpus();
  const gigabytes = (totalmem() / 2 ** 30).toFixed(0);
  return `${cpus().length} × ${first?.model.trim()}, ${gigabytes} GB, Linux ${release()}, Node.js ${process.version}`;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @param share 0 for the least, 1 for the most */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN;
}

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
}

/** In Markdown. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map(({ head }) => head)),
    line(columns.map((_, index) => (index === 0 ? '---' : '---:'))),
    ...rows.map((row) => line(columns.map(({ cell }) => cell(row)))),
  ].join('\n');
}
