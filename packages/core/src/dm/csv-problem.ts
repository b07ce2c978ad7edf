/** What is wrong with a CSV file. */

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

/** A problem of the file as a whole, or of one line of it. */
export const fileProblem = (problem: string, line: number | null = null): CsvImportError =>
  new CsvImportError([{ line, field: null, problem }]);
