export { CsvImportError, type CsvProblem, importCsv } from './import-csv.ts';
export { dmQueue } from './job.ts';
export { REASONS, type Reason, reasonInWords } from './reasons.ts';
export {
  type AttemptResult,
  type Backlog,
  type Claim,
  type ClaimedMessage,
  createDmStore,
  type DmStore,
  type Enqueued,
  type Explanation,
  type NewMessage,
  type RecordedResult,
} from './store.ts';
