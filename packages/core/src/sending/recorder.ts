/**
 * The recorder: takes results as they come, and writes them in as few calls as it can.
 *
 * While one batch is being written the next one gathers, so that a busy run writes large batches and
 * a quiet one writes at once. A result is not given up while the database is away: what is not
 * recorded in the end stays an open attempt, which becomes `unknown` when its lease ends.
 */
import type { JobServices } from '../jobs/index.ts';
import { RpcError } from '../rpc/index.ts';
import type { AttemptResult, RecordedResult } from './attempts.ts';

/** Results in one call; the database takes up to 1,000. */
const BATCH_MAX = 200;

/**
 * Waits between tries while the database is away: from 200 ms, doubling, up to 15 s, for about half
 * an hour.
 */
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 15_000;
const RETRIES_MAX = 120;

export interface Recorder<Result extends AttemptResult> {
  add(result: Result): void;
  /** Results that were added, and neither written nor given up: their attempts are open in the ledger. */
  readonly unwritten: number;
  /** Whether everything that was added has been written, or given up. */
  isIdle(): boolean;
  /** Resolves once everything that was added has been written, or given up. */
  drain(): Promise<void>;
}

/**
 * @param record writes a batch, and answers in the same order
 * @param onRecorded told of each batch once it is written, with the answers in the same order
 */
export function createRecorder<Result extends AttemptResult>(
  record: (results: readonly Result[]) => Promise<readonly RecordedResult[]>,
  services: Pick<JobServices, 'effects' | 'logger' | 'reports'>,
  onRecorded: (results: readonly Result[], recorded: readonly RecordedResult[]) => void,
): Recorder<Result> {
  const { effects, logger, reports } = services;
  const waiting: Result[] = [];
  let unwritten = 0;
  let writing: Promise<void> | null = null;

  const write = async (batch: readonly Result[]): Promise<void> => {
    for (let retries = 0; retries <= RETRIES_MAX; retries += 1) {
      try {
        const answers = await record(batch);
        unwritten -= batch.length;
        onRecorded(batch, answers);
        return;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        if (error.kind !== 'unavailable') return refused(batch, error);
        logger.warn({ err: error, count: batch.length, retries }, 'results not recorded yet, retrying');
        await effects.sleep(Math.min(RETRY_MS_MIN * 2 ** retries, RETRY_MS_MAX));
      }
    }
    unwritten -= batch.length;
    logger.error({ count: batch.length }, 'results not recorded, their attempts become unknown');
  };

  /** One bad result must not cost the others: each is written alone. */
  const refused = async (batch: readonly Result[], error: RpcError): Promise<void> => {
    if (batch.length > 1) {
      for (const result of batch) await write([result]);
      return;
    }
    unwritten -= 1;
    const attempt_id = batch[0]?.attempt_id;
    logger.error({ err: error, attempt_id }, 'result refused, its attempt becomes unknown');
    reports?.error(error, attempt_id === undefined ? {} : { attempt_id });
  };

  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0) await write(waiting.splice(0, BATCH_MAX));
    writing = null;
  };

  return {
    get unwritten() {
      return unwritten;
    },
    add(result) {
      waiting.push(result);
      unwritten += 1;
      writing ??= writeAll();
    },
    isIdle: () => writing === null,
    async drain() {
      while (writing !== null) await writing;
    },
  };
}
