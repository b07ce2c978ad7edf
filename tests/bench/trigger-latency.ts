/**
 * From a trigger over HTTP to the first byte of the message at Unipile: one message, one account,
 * nothing else to do.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startPostgres, withClient } from '@revos/local-stack';
import { endProcess, openSite, runMessages, startTimed, titleOf, WAYS } from './jobs-api.ts';
import { createTemplates } from './queues.ts';
import { describeMachine, quantile, table } from './report.ts';

const WARM_UP = 20;
const TRIGGERS = 100;

let arrived = (): void => {};
const unipile = createServer((request, response) => {
  arrived();
  request.resume().once('end', () => {
    const id = crypto.randomUUID();
    response.writeHead(201, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ object: 'ChatStarted', chat_id: `chat-${id}`, message_id: `message-${id}` }),
    );
  });
});
unipile.listen(0, '127.0.0.1');
await once(unipile, 'listening');

/** One message of a new account that may send at once. */
const queueOne = (databaseUrl: string, index: number) =>
  withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      'insert into linkedin_accounts (account_name, unipile_account_id) values ($1, $1) returning id',
      [`u${index}`],
    );
    const id = rows[0]?.id;
    await client.query(
      "insert into dm_queue (linkedin_account_id, recipient_id, message) values ($1, 'ACoAA1', 'Hello')",
      [id],
    );
    await client.query(
      `update account_policies set window_start = '00:00', window_end = '24:00', work_days = '{1,2,3,4,5,6,7}',
       gap_min_s = 0, gap_max_s = 0 where account_id = $1`,
      [id],
    );
  });

const server = await startPostgres({ durable: true });
try {
  await createTemplates(server);
  const rows: { title: string; ms: number[] }[] = [];
  for (const way of WAYS) {
    const site = await openSite(server, way, `http://127.0.0.1:${(unipile.address() as AddressInfo).port}`);
    const api = await startTimed(site.environment);
    const ms: number[] = [];
    for (let index = 0; index < WARM_UP + TRIGGERS; index += 1) {
      await queueOne(site.databaseUrl, index);
      const dispatched = Promise.withResolvers<number>();
      arrived = () => dispatched.resolve(performance.now());
      const startedMs = performance.now();
      const run = runMessages(api.port);
      const tookMs = (await dispatched.promise) - startedMs;
      if (index >= WARM_UP) ms.push(tookMs);
      await run;
    }
    await endProcess(api);
    await site.close();
    rows.push({ title: titleOf(way), ms });
  }
  const cell = (share: number) => (row: { ms: number[] }) => quantile(row.ms, share).toFixed(1);
  const columns = [
    { head: 'Trigger to first dispatch', cell: (row: { title: string }) => row.title },
    { head: 'p50, ms', cell: cell(0.5) },
    { head: 'p95, ms', cell: cell(0.95) },
  ];
  process.stdout.write(`${describeMachine()}\n\n${table(columns, rows)}\n`);
} finally {
  await server.stop();
  unipile.close();
}
