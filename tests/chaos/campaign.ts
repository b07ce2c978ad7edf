/**
 * What is to be sent: accounts, their limits, and messages and posts that are queued during the fault phase.
 *
 * Every text is there once, so whatever LinkedIn shows can be told by its text. No account is given
 * more than its limits allow but those with tight limits, which are given more on purpose.
 */

import { setTimeout as wait } from 'node:timers/promises';
import type { NewMessage } from '@revos/core/dm';
import { type Rpc, RpcError } from '@revos/core/rpc';
import type { World } from '@revos/unipile-sandbox';
import type { Random } from '../support/random.ts';
import type { Database } from './database.ts';
import type { Form } from './plan.ts';

/** An account's rules, as the judge holds what LinkedIn shows against them. */
export interface Account {
  readonly id: string;
  /** Its name on Unipile. */
  readonly unipileId: string;
  readonly timeZone: string;
  readonly dmsPerDay: number;
  readonly dmsPer24h: number;
  readonly dmsPer7d: number;
}

export interface Campaign {
  readonly accounts: readonly Account[];
  /** Texts whose enqueueing was acknowledged, by kind. */
  readonly queued: { readonly messages: ReadonlySet<string>; readonly posts: ReadonlySet<string> };
  /** Queues about so many more. */
  queueMessages(count: number): Promise<void>;
  queuePosts(count: number): Promise<void>;
}

/** Messages that an account without tight limits is given, of the 50 that it may send in a day. */
const MESSAGES_MAX = 45;

/** Messages that an account with a tight limit is given beyond it. */
const BEYOND_LIMIT = 4;

/** Messages of an account that are queued together, at most. */
const BURST_MAX = 4;

const RECIPIENTS_PER_ACCOUNT = 6;

export async function createCampaign(
  form: Form,
  seed: number,
  random: Random,
  parts: { readonly world: World; readonly database: Database; readonly rpc: Rpc },
): Promise<Campaign> {
  const { world, database, rpc } = parts;
  const accounts = Array.from({ length: form.accountCount }, (_, index) => drawAccount(index, random));
  for (const account of accounts) world.declareAccount({ id: account.unipileId, name: account.unipileId });
  await insertAccounts(database, accounts);

  const quota = new Map(accounts.map((account) => [account, quotaOf(account)]));
  const open = [...accounts];
  const queued = { messages: new Set<string>(), posts: new Set<string>() };
  let messageCount = 0;
  let postCount = 0;

  /** An account that may be given more, several times over: what is queued for one comes in bursts. */
  const drawBurst = (): Account[] => {
    const index = random.integer(0, open.length - 1);
    const account = open[index];
    if (account === undefined) return [];
    const left = quota.get(account) ?? 0;
    const count = Math.min(left, random.integer(1, BURST_MAX));
    quota.set(account, left - count);
    if (left === count) open.splice(index, 1);
    return Array.from({ length: count }, () => account);
  };

  return {
    accounts,
    queued,
    async queueMessages(count) {
      const rows: NewMessage[] = [];
      while (rows.length < count) {
        const burst = drawBurst();
        if (burst.length === 0) break;
        for (const account of burst) {
          messageCount += 1;
          const text = `Message ${messageCount} of campaign ${seed}.`;
          rows.push({
            linkedin_account_id: account.id,
            recipient_id: `ACoAA${account.unipileId}x${random.integer(1, RECIPIENTS_PER_ACCOUNT)}`,
            message: text,
            priority: random.integer(0, 2),
            dedupe_key: text,
          });
        }
      }
      if (rows.length === 0) return;
      // Whether a call without an answer was carried out is not known: its keys make it safe to repeat.
      await untilAnswered(() => rpc.call('dm_enqueue', { rows }));
      for (const { message } of rows) queued.messages.add(message);
    },
    async queuePosts(count) {
      for (let index = 0; index < count; index += 1) {
        postCount += 1;
        const account = random.pick(accounts);
        const content = `Post ${postCount} of campaign ${seed}.`;
        // As RevOS does it: a plain insert.
        await database.query(
          `insert into public.posts (id, linkedin_account_id, content, status, scheduled_for)
           values (md5($2)::uuid, $1, $2, 'scheduled', now()) on conflict (id) do nothing`,
          [account.id, content],
        );
        queued.posts.add(content);
      }
    },
  };
}

/** One account in six has a limit that it reaches. */
function drawAccount(index: number, random: Random): Account {
  const tight = random.chance(1 / 6) ? random.pick(['day', '24h', '7d'] as const) : null;
  const limit = random.integer(1, 4);
  return {
    id: `00000000-0000-4000-8000-${String(index + 1).padStart(12, '0')}`,
    unipileId: `chaos-${index + 1}`,
    timeZone: noonZone(random.integer(11, 13)),
    dmsPerDay: tight === 'day' ? limit : 50,
    dmsPer24h: tight === '24h' ? limit : 50,
    dmsPer7d: tight === '7d' ? limit : 350,
  };
}

function quotaOf({ dmsPerDay, dmsPer24h, dmsPer7d }: Account): number {
  const limit = Math.min(dmsPerDay, dmsPer24h, dmsPer7d);
  return limit < MESSAGES_MAX ? limit + BEYOND_LIMIT : MESSAGES_MAX;
}

/**
 * A zone in which it is about that hour now. The ledger is moved back by hours during the run, what
 * LinkedIn shows is not: where neither crosses midnight, both mean the same day.
 */
function noonZone(hour: number): string {
  const behind = new Date().getUTCHours() - hour;
  return behind === 0 ? 'UTC' : `Etc/GMT${behind > 0 ? '+' : '-'}${Math.abs(behind)}`;
}

async function insertAccounts(database: Database, accounts: readonly Account[]): Promise<void> {
  const rows = JSON.stringify(accounts);
  await database.query(
    `insert into public.linkedin_accounts (id, account_name, unipile_account_id)
     select account.id, account."unipileId", account."unipileId"
     from jsonb_to_recordset($1) as account (id uuid, "unipileId" text) on conflict do nothing`,
    [rows],
  );
  await database.query(
    `insert into public.account_policies (account_id, dms_per_day, dms_per_24h, dms_per_7d, gap_min_s, gap_max_s,
       post_gap_s, time_zone, window_start, window_end, work_days)
     select account.id, account."dmsPerDay", account."dmsPer24h", account."dmsPer7d",
       0, 0, 0, account."timeZone", '00:00', '24:00', '{1,2,3,4,5,6,7}'
     from jsonb_to_recordset($1) as account (
       id uuid, "dmsPerDay" integer, "dmsPer24h" integer, "dmsPer7d" integer, "timeZone" text) on conflict do nothing`,
    [rows],
  );
}

const RETRY_MS = 200;
const TRIES_MAX = 300;

async function untilAnswered(call: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await call();
      return;
    } catch (error) {
      if (!(error instanceof RpcError) || error.kind !== 'unavailable' || tries === TRIES_MAX) throw error;
      await wait(RETRY_MS);
    }
  }
}
