/**
 * The two databases of the comparison: a plain queue as RevOS describes it, and this project's with
 * its ledger.
 */
import {
  createTemplate,
  type LocalPostgres,
  type Migration,
  readMigrations,
  withClient,
} from '@revos/local-stack';
import type pg from 'pg';

export type QueueKind = 'plain' | 'revos';

/** A table and the index that its query wants; nothing that a peer would not have. */
const PLAIN: Migration = {
  version: '20990101000000',
  name: 'plain',
  sql: `
create table public.dm_queue (
  id uuid primary key default gen_random_uuid(), account text not null, recipient text not null, text text not null,
  status text not null default 'pending', send_at timestamptz not null default now(), sent_at timestamptz, error text,
  unipile_message_id text
);
create index on public.dm_queue (send_at) where status = 'pending';
grant select, insert, update on public.dm_queue to service_role;`,
};

/** Messages of one account: half of what it may send in a day. */
const MESSAGES_PER_ACCOUNT = 10;

export async function createTemplates(server: LocalPostgres): Promise<void> {
  await createTemplate(server.connectionString, { name: 'plain', migrations: [PLAIN] });
  await createTemplate(server.connectionString, { name: 'revos', migrations: await readMigrations() });
}

/** Pending messages of many accounts, in a database of ours. */
export async function fillQueue(client: Pick<pg.Client, 'query'>, messageCount: number): Promise<void> {
  const accountCount = Math.ceil(messageCount / MESSAGES_PER_ACCOUNT);
  await client.query(
    `insert into linkedin_accounts (account_name, unipile_account_id)
     select 'a' || n, 'u' || n from generate_series(1, $1) as n`,
    [accountCount],
  );
  await client.query(
    `insert into dm_queue (linkedin_account_id, recipient_id, message)
     select account.id, 'ACoAA' || n, 'Hello ' || n
     from generate_series(1, $1) as n join linkedin_accounts as account on account.account_name = 'a' || (n % $2 + 1)`,
    [messageCount, accountCount],
  );
  await client.query(
    `update account_policies set window_start = '00:00', window_end = '24:00', work_days = '{1,2,3,4,5,6,7}',
     gap_min_s = 0, gap_max_s = 0, dms_per_day = 50`,
  );
}

/**
 * A database with so many pending messages of many accounts, which may send at any hour and without
 * a gap.
 */
export async function createQueue(
  server: LocalPostgres,
  kind: QueueKind,
  name: string,
  messageCount: number,
): Promise<string> {
  const url = await server.createDatabase(name, { template: kind });
  const accountCount = Math.ceil(messageCount / MESSAGES_PER_ACCOUNT);
  await withClient(url, async (client) => {
    if (kind === 'plain') {
      await client.query(
        `insert into dm_queue (account, recipient, text)
         select 'u' || n % $2, 'ACoAA' || n, 'Hello ' || n from generate_series(1, $1) as n`,
        [messageCount, accountCount],
      );
    } else await fillQueue(client, messageCount);
    await client.query('vacuum analyze');
  });
  return url;
}

/** How many messages stand as sent. */
export async function countSent(url: string): Promise<number> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ sent: number }>(
      "select count(*)::integer as sent from dm_queue where status = 'sent'",
    );
    return rows[0]?.sent ?? 0;
  });
}
