/** One account never holds up another: what quiet accounts get beside the worst neighbours. */
import type { Action } from '@revos/unipile-sandbox';
import { expect, it } from 'vitest';
import { dmQueue } from '../../src/dm/index.ts';
import { simulatedEffects } from '../../src/effects/index.ts';
import { withClock } from '../../src/rpc/index.ts';
import type { Unipile } from '../../src/unipile/index.ts';
import { START } from '../support/campaign.ts';
import { databaseForFile } from '../support/database.ts';
import { createDriver } from '../support/driving.ts';
import { DEFAULT_SETTINGS, systemOf } from '../support/jobs.ts';
import { clientForTest, sandboxForTest } from '../support/sandbox.ts';

const db = databaseForFile();

const QUIET_ACCOUNTS = 1_000;
const MESSAGES_EACH = 2;
const SLOTS = 20;
/** How long Unipile takes, and how long it may hang, in milliseconds of simulated time. */
const ANSWER_MS = 1_000;
const HANG_MS = 60_000;

interface Neighbour {
  readonly name: string;
  readonly messages: number;
  readonly fault?: Action;
  /** Of each of its calls. */
  readonly takesMs?: number;
}

const NEIGHBOURS: readonly Neighbour[] = [
  { name: 'greedy', messages: 10_000 },
  { name: 'hanging', messages: 100, fault: { kind: 'drop_answer' }, takesMs: HANG_MS },
  {
    name: 'failing',
    // One a second for as long as the quiet ones need.
    messages: 120,
    fault: { kind: 'status', status: 422, type: 'errors/invalid_recipient', effect: false },
  },
];

/** Many accounts in one statement: none waits between two messages. */
async function makeAccounts(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const rows = await db.query(
    `insert into public.linkedin_accounts (account_name, unipile_account_id)
     select name, name from unnest($1::text[]) as name returning id, account_name`,
    [names],
  );
  await db.query(
    `insert into public.account_policies (account_id, window_start, window_end, work_days, dms_per_day, dms_per_24h,
       dms_per_7d, gap_min_s, gap_max_s)
     select id, '00:00', '24:00', '{1,2,3,4,5,6,7}', 50, 50, 350, 0, 0 from public.linkedin_accounts`,
    [],
  );
  return new Map(rows.map(({ id, account_name }) => [String(account_name), String(id)]));
}

/**
 * A run over the quiet accounts and these neighbours: when each quiet message was sent, in
 * simulated milliseconds.
 */
async function sendBeside(neighbours: readonly Neighbour[]): Promise<number[]> {
  const effects = simulatedEffects(START);
  const driver = createDriver(effects);
  const quiet = Array.from({ length: QUIET_ACCOUNTS }, (_, n) => `quiet-${n}`);
  const names = [...neighbours.map(({ name }) => name), ...quiet];
  const sandbox = await sandboxForTest({
    now: effects.now,
    accounts: names.map((id) => ({ id })),
    faults: neighbours.flatMap(({ name, fault }) =>
      fault === undefined
        ? []
        : [{ match: { operation: 'send' as const, account_id: name }, action: fault, times: null }],
    ),
  });
  const client = driver.unipile(clientForTest(sandbox));
  const unipile: Unipile = {
    ...client,
    async sendMessage(request) {
      const neighbour = neighbours.find(({ name }) => name === request.accountId);
      await effects.sleep(neighbour?.takesMs ?? ANSWER_MS);
      return client.sendMessage(request);
    },
  };
  const rpc = withClock(driver.rpc(db.rpc), effects.now);
  const system = systemOf([dmQueue], rpc, effects, {
    unipile,
    sendConcurrency: SLOTS,
    settings: { ...DEFAULT_SETTINGS, unknownPolicy: 'hold' },
  });

  const ids = await makeAccounts(names);
  // The neighbours' messages stand in front of everybody's.
  const rows = names.flatMap((name) => {
    const count = neighbours.find((neighbour) => neighbour.name === name)?.messages ?? MESSAGES_EACH;
    return Array.from({ length: count }, (_, n) => ({
      linkedin_account_id: ids.get(name),
      recipient_id: `ACoAA${name}x${n}`,
      message: `${name} ${n}`,
    }));
  });
  for (let from = 0; from < rows.length; from += 5_000) {
    await rpc.call('dm_enqueue', { rows: rows.slice(from, from + 5_000) });
  }

  const { id } = await system.start(dmQueue);
  await driver.untilEnd(system.ended(id));
  return sandbox.world
    .effects()
    .filter(({ account_id }) => account_id.startsWith('quiet-'))
    .map(({ at }) => Date.parse(at));
}

it('a thousand quiet accounts finish beside the worst neighbours as if alone', {
  timeout: 300_000,
}, async () => {
  const sentMs = await sendBeside(NEIGHBOURS);
  expect(sentMs).toHaveLength(QUIET_ACCOUNTS * MESSAGES_EACH);
  // Each neighbour has one call under way at most, and so takes one of the slots: that is all it
  // costs the others.
  const shortestMs = (sentMs.length * ANSWER_MS) / (SLOTS - NEIGHBOURS.length);
  expect(Math.max(...sentMs) - Math.min(...sentMs)).toBeLessThanOrEqual(shortestMs + 5 * ANSWER_MS);
});
