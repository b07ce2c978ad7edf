/**
 * How long a campaign takes to be queued: a hundred thousand messages with keys, in calls of ten
 * thousand.
 */
import { createDmStore, type NewMessage } from '@revos/core/dm';
import { createSupabaseRpc } from '@revos/core/rpc';
import { startPostgres, withClient } from '@revos/local-stack';
import { openDirect } from './direct.ts';
import { titleOf, WAYS } from './jobs-api.ts';
import { createTemplates } from './queues.ts';
import { describeMachine, table } from './report.ts';
import { startRest } from './rest.ts';

const MESSAGES = 100_000;
/** The most that one call takes. */
const CALL = 10_000;
const ACCOUNTS = 400;

async function createAccounts(databaseUrl: string): Promise<string[]> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `insert into linkedin_accounts (account_name, unipile_account_id)
       select 'a' || n, 'u' || n from generate_series(1, $1) as n returning id`,
      [ACCOUNTS],
    );
    return rows.map(({ id }) => id);
  });
}

const messageOf = (accountIds: readonly string[], n: number): NewMessage => ({
  linkedin_account_id: accountIds[n % accountIds.length] ?? '',
  recipient_id: `ACoAA${n}`,
  message: `Hello ${n}. ${'Here is what a first message looks like. '.repeat(5)}`,
  dedupe_key: `campaign:${n}`,
});

const server = await startPostgres({ durable: true });
try {
  await createTemplates(server);
  const rows: { title: string; callsMs: number[] }[] = [];
  for (const way of WAYS) {
    const databaseUrl = await server.createDatabase(`enqueue_${way}`, { template: 'revos' });
    const accountIds = await createAccounts(databaseUrl);
    const rest = way === 'rest' ? await startRest(databaseUrl) : null;
    const rpc = rest === null ? openDirect(databaseUrl) : createSupabaseRpc(rest.ready);
    const dm = createDmStore(rpc);
    const callsMs: number[] = [];
    for (let from = 0; from < MESSAGES; from += CALL) {
      const messages = Array.from({ length: CALL }, (_, index) => messageOf(accountIds, from + index));
      const startedMs = performance.now();
      const { enqueued } = await dm.enqueue(messages);
      callsMs.push(performance.now() - startedMs);
      if (enqueued !== CALL) throw new Error(`${enqueued} queued, not ${CALL}`);
    }
    await rpc.close();
    await rest?.child.end();
    rows.push({ title: titleOf(way), callsMs });
  }
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
  const columns = [
    { head: `${MESSAGES.toLocaleString('en')} messages over`, cell: (row: { title: string }) => row.title },
    {
      head: 'all, s',
      cell: ({ callsMs }: { callsMs: number[] }) => seconds(callsMs.reduce((sum, ms) => sum + ms, 0)),
    },
    {
      head: 'first call, s',
      cell: ({ callsMs }: { callsMs: number[] }) => seconds(callsMs.at(0) ?? Number.NaN),
    },
    {
      head: 'last call, s',
      cell: ({ callsMs }: { callsMs: number[] }) => seconds(callsMs.at(-1) ?? Number.NaN),
    },
  ];
  process.stdout.write(`${describeMachine()}\n\n${table(columns, rows)}\n`);
} finally {
  await server.stop();
}
