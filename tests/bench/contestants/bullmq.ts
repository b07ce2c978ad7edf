/** BullMQ on a Redis that writes its log each second, and marks each message in Postgres. */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { Enter, Message } from '../contestant.ts';
import { plainClient } from '../plain-client.ts';

const QUEUE = 'send-message';
const POOL_MAX = 20;

export const enter: Enter = async (order) => {
  if (order.redisUrl === null) throw new Error('needs Redis');
  const client = plainClient(order);
  const pool = new pg.Pool({ connectionString: order.databaseUrl, max: POOL_MAX });
  const connection = new Redis(order.redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue<Message>(QUEUE, { connection });
  const { rows } = await pool.query<Message>('select id, account, recipient, text from dm_queue');
  for (let from = 0; from < rows.length; from += 1_000) {
    await queue.addBulk(
      rows
        .slice(from, from + 1_000)
        .map((data) => ({ name: 'send', data, opts: { removeOnComplete: true } })),
    );
  }
  const all = Promise.withResolvers<void>();
  let left = order.messageCount;
  return async () => {
    const worker = new Worker<Message>(
      QUEUE,
      async ({ data }) => {
        const messageId = await client.send(data);
        await pool.query(MARK, [data.id, messageId]);
      },
      { connection: connection.duplicate(), concurrency: order.concurrency },
    );
    worker.on('failed', (_job, error) => all.reject(error));
    worker.on('completed', () => {
      left -= 1;
      if (left === 0) all.resolve();
    });
    await all.promise;
  };
};

const MARK =
  "update dm_queue set status = 'sent', sent_at = now(), unipile_message_id = $2 where id = $1 and status = 'pending'";
