export { CsvImportError, type CsvProblem } from './csv-problem.ts';
export { createCsvQueue } from './csv-queue.ts';
export {
  type CsvQueue,
  type Imported,
  importCsv,
  type NamedAccount,
  type RefusedRow,
} from './import-csv.ts';
export { dmQueue } from './job.ts';
export {
  type ClaimedMessage,
  createDmStore,
  type DmReconcileResult,
  type DmResult,
  type DmStore,
  type Enqueued,
  type Explanation,
  type NewMessage,
  type UnknownMessage,
} from './store.ts';
