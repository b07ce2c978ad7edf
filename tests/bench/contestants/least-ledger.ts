/**
 * The least that sending at most once asks of Postgres: a claim that stands before its call, and a
 * result after it. No limit, no account, no attempt: what no ledger on this machine can be faster
 * than.
 */
import pg from 'pg';
import type { Enter, Message } from '../contestant.ts';
import { plainClient } from '../plain-client.ts';

const POOL_MAX = 10;

export const enter: Enter = async (order) => {
  const client = plainClient(order);
  const pool = new pg.Pool({ connectionString: order.databaseUrl, max: POOL_MAX });
  return async () => {
    const all = Promise.withResolvers<void>();
    const answered: Array<readonly [id: string, messageId: string]> = [];
    let free = order.concurrency;
    let left = order.messageCount;
    let isClaiming = false;
    let isRecording = false;

    const fill = async (): Promise<void> => {
      if (isClaiming) return;
      isClaiming = true;
      while (free > 0) {
        const { rows } = await pool.query<Message>({ name: 'claim', text: CLAIM, values: [free] });
        if (rows.length === 0) break;
        free -= rows.length;
        for (const message of rows) void send(message).catch(all.reject);
      }
      isClaiming = false;
    };
    const send = async (message: Message): Promise<void> => {
      answered.push([message.id, await client.send(message)]);
      free += 1;
      await Promise.all([fill(), record()]);
    };
    const record = async (): Promise<void> => {
      if (isRecording) return;
      isRecording = true;
      while (answered.length > 0) {
        const batch = answered.splice(0);
        const values = [batch.map(([id]) => id), batch.map(([, messageId]) => messageId)];
        await pool.query({ name: 'mark', text: MARK, values });
        left -= batch.length;
      }
      isRecording = false;
      if (left === 0) all.resolve();
    };

    await fill();
    await all.promise;
  };
};

const CLAIM = `with next as (
    select id from dm_queue where status = 'pending' and send_at <= now() order by send_at limit $1 for update skip locked
  )
  update dm_queue set status = 'sending' from next where dm_queue.id = next.id
  returning dm_queue.id, account, recipient, text`;

const MARK = `update dm_queue set status = 'sent', sent_at = now(), unipile_message_id = sent.message_id
  from unnest($1::uuid[], $2::text[]) as sent (id, message_id)
  where dm_queue.id = sent.id and status = 'sending'`;
