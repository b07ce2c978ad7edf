/**
 * What a crash costs: the jobs API is killed in the middle of a slot's run, and another one starts
 * at once, as a host restarts it. Nobody triggers again; it finds the run by itself.
 *
 * Unipile is the sandbox, so that what was in flight can be read back. Takes minutes: they are what
 * is measured.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { startPostgres, withClient } from '@revos/local-stack';
import { startSandbox } from '@revos/unipile-sandbox';
import { cronRequest } from '../../apps/jobs-api/test/support/app.ts';
import { endProcess, openSite, startTimed } from './jobs-api.ts';
import { createTemplates } from './queues.ts';
import { describeMachine, table } from './report.ts';

const ACCOUNTS = 100;
const MESSAGES_PER_ACCOUNT = 20;

/** Sent before the crash. */
const SENT_BEFORE = 300;

const LOOK_MS = 100;
const WAIT_MS_MAX = 15 * 60_000;

/** This minute, and the next one is an hour off. */
const SLOT = new Date();
SLOT.setUTCSeconds(0, 0);
const SCHEDULE = `${SLOT.getUTCMinutes()} * * * *`;

/** Waits until `isTrue` says so, looking again and again. */
async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpMs = performance.now() + WAIT_MS_MAX;
  while (!(await isTrue())) {
    if (performance.now() > giveUpMs) throw new Error('it did not come to that');
    await wait(LOOK_MS);
  }
}

const sandbox = await startSandbox({ apiKey: 'unipile-key', latencyMs: { min: 100, max: 300 } });
const server = await startPostgres({ durable: true });
try {
  await createTemplates(server);
  const site = await openSite(server, 'direct', sandbox.url);
  const environment = {
    ...site.environment,
    JOB_SCHEDULES: `dm-queue=${SCHEDULE};post-scheduler=0 0 1 1 *;reconcile=0 0 1 1 *;analytics=0 0 1 1 *`,
    CATCH_UP: 'latest',
  };
  const ask = <Row extends object>(sql: string) =>
    withClient(site.databaseUrl, async (client) => (await client.query<Row>(sql)).rows);
  for (let index = 1; index <= ACCOUNTS; index += 1)
    sandbox.world.declareAccount({ id: `u${index}`, name: `u${index}` });
  await ask(
    `insert into linkedin_accounts (account_name, unipile_account_id)
     select 'u' || n, 'u' || n from generate_series(1, ${ACCOUNTS}) as n`,
  );
  await ask(
    `insert into dm_queue (linkedin_account_id, recipient_id, message)
     select account.id, 'ACoAA' || account.account_name || 'x' || n, 'Message ' || n || ' of ' || account.account_name
     from linkedin_accounts as account cross join generate_series(1, ${MESSAGES_PER_ACCOUNT}) as n`,
  );
  await ask(
    `update account_policies set window_start = '00:00', window_end = '24:00', work_days = '{1,2,3,4,5,6,7}',
     gap_min_s = 0, gap_max_s = 0, dms_per_day = 50`,
  );

  const sentCount = (): number => sandbox.world.effects().length;
  const first = await startTimed(environment);
  const { headers, body } = cronRequest({ job: 'dm-queue', slot: SLOT });
  const url = `http://127.0.0.1:${first.port}/api/jobs/dm-queue`;
  const triggered = await fetch(url, { method: 'POST', headers, body });
  if (triggered.status !== 202) throw new Error(`the trigger was answered with ${triggered.status}`);
  await until(() => sentCount() >= SENT_BEFORE);

  await endProcess(first);
  const killedMs = performance.now();
  const sinceKill = (): string => ((performance.now() - killedMs) / 1_000).toFixed(0);
  const lost = await ask<{ message: string }>(
    `select message.message from dm_attempts as attempt join dm_queue as message on message.id = attempt.message_id
     where attempt.finished_at is null`,
  );
  const second = await startTimed(environment);
  const readyAfter = sinceKill();
  // What the first one had in flight arrives meanwhile.
  await wait(1_000);
  const before = sentCount();
  await until(() => sentCount() > before);
  const sendingAfter = sinceKill();
  const openTexts = async () =>
    (await ask<{ message: string }>("select message from dm_queue where status <> 'sent'")).map(
      ({ message }) => message,
    );
  const lostTexts = new Set(lost.map(({ message }) => message));
  await until(async () => (await openTexts()).every((text) => lostTexts.has(text)));
  const othersAfter = sinceKill();
  // What never arrived is believed to be absent after half an hour, and not before: that is not waited for.
  const arrived = new Set(sandbox.world.effects().map(({ text }) => text));
  await until(async () => !(await openTexts()).some((text) => arrived.has(text)));
  const knownAfter = sinceKill();
  const unknown = await openTexts();
  const total = sentCount();
  await endProcess(second);
  await site.close();

  type Row = readonly [string, string];
  const columns = [
    { head: 'After a kill in the middle of a run', cell: ([what]: Row) => what },
    { head: '', cell: ([, value]: Row) => value },
  ];
  const rows: Row[] = [
    ['messages in flight', String(lost.length)],
    ['another process is ready, s', readyAfter],
    ['it sends, s', sendingAfter],
    ['everything else is sent, s', othersAfter],
    ['of what was in flight, what had arrived is known, s', knownAfter],
    ['what had not is unknown for half an hour', String(unknown.length)],
    [
      'messages on LinkedIn twice',
      String(total - new Set(sandbox.world.effects().map(({ text }) => text)).size),
    ],
  ];
  process.stdout.write(`${describeMachine()}\n\n${table(columns, rows)}\n`);
} finally {
  await server.stop();
  await sandbox.close();
}
