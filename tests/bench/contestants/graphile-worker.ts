/** Graphile Worker, with the local queue and batched completion that its guide to performance advises. */
import { Logger, makeWorkerUtils, run, WorkerPreset } from 'graphile-worker';
import pg from 'pg';
import type { Enter, Message } from '../contestant.ts';
import { plainClient } from '../plain-client.ts';

const POOL_MAX = 20;

export const enter: Enter = async (order) => {
  const client = plainClient(order);
  const pool = new pg.Pool({ connectionString: order.databaseUrl, max: POOL_MAX });
  const utils = await makeWorkerUtils({ pgPool: pool, logger: SILENT });
  await utils.migrate();
  await pool.query(`select graphile_worker.add_job('send_message', json_build_object('id', id, 'account', account,
    'recipient', recipient, 'text', text)) from dm_queue`);
  await pool.query('analyze');
  const all = Promise.withResolvers<void>();
  let left = order.messageCount;
  return async () => {
    const runner = await run({
      pgPool: pool,
      logger: SILENT,
      noHandleSignals: true,
      preset: {
        extends: [WorkerPreset],
        worker: {
          concurrentJobs: order.concurrency,
          localQueue: { size: 5 * order.concurrency },
          completeJobBatchDelay: 50,
          failJobBatchDelay: 50,
        },
      },
      taskList: {
        send_message: async (payload) => {
          const message = payload as Message;
          const messageId = await client.send(message);
          await pool.query(MARK, [message.id, messageId]);
          left -= 1;
          if (left === 0) all.resolve();
        },
      },
    });
    await all.promise;
    void runner.promise;
  };
};

const MARK =
  "update dm_queue set status = 'sent', sent_at = now(), unipile_message_id = $2 where id = $1 and status = 'pending'";

const SILENT = new Logger(() => () => {});
