/** pg-boss, in batches: a batch is sent at once, marked in one statement, and completed in one. */
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import type { Enter, Message } from '../contestant.ts';
import { plainClient } from '../plain-client.ts';

const QUEUE = 'send-message';
const POOL_MAX = 10;

/** Workers beside each other, so that one batch's slowest call does not hold up the others. */
const LANES = 10;

export const enter: Enter = async (order) => {
  const client = plainClient(order);
  const pool = new pg.Pool({ connectionString: order.databaseUrl, max: POOL_MAX });
  const boss = new PgBoss({
    connectionString: order.databaseUrl,
    max: POOL_MAX,
    supervise: false,
    schedule: false,
  });
  boss.on('error', (error) => {
    throw error;
  });
  await boss.start();
  await boss.createQueue(QUEUE);
  const { rows } = await pool.query<Message>('select id, account, recipient, text from dm_queue');
  for (let from = 0; from < rows.length; from += 1_000) {
    await boss.insert(
      QUEUE,
      rows.slice(from, from + 1_000).map((data) => ({ data })),
    );
  }
  await pool.query('analyze');
  const all = Promise.withResolvers<void>();
  let left = order.messageCount;
  return async () => {
    await boss.work<Message>(
      QUEUE,
      {
        batchSize: order.concurrency / LANES,
        localConcurrency: LANES,
        burstWhenBatchFull: true,
        pollingIntervalSeconds: 0.5,
      },
      async (jobs) => {
        const ids = await Promise.all(jobs.map(({ data }) => client.send(data)));
        await pool.query(MARK, [jobs.map(({ data }) => data.id), ids]);
        left -= jobs.length;
        if (left === 0) all.resolve();
      },
    );
    await all.promise;
  };
};

const MARK = `update dm_queue set status = 'sent', sent_at = now(), unipile_message_id = sent.message_id
  from unnest($1::uuid[], $2::text[]) as sent (id, message_id)
  where dm_queue.id = sent.id and status = 'pending'`;
