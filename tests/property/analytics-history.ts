/** A random history of accounts in many zones, most of it close to their midnights, and no rule kept. */
import { accountId, DAY_MS, HOUR_MS } from '../support/builders.ts';
import type { Session } from '../support/database.ts';
import { localTime } from '../support/local-time.ts';
import type { Random } from '../support/random.ts';
import {
  insertDmAttempts,
  insertMessages,
  insertPostAttempts,
  insertPosts,
  insertPublications,
  insertRows,
  type RawDmAttempt,
  type RawMessage,
  type RawPost,
  type RawPostAttempt,
  type RawPublication,
} from '../support/raw-rows.ts';
import type { History, PolicyOfAccount } from './analytics-oracle.ts';
import { planWorld } from './world.ts';

const DAYS = 6;
const REASONS = ['rejected', 'not_connected', 'retries_exhausted', null];

/** An id of its own for each kind and number. */
const idOf = (kind: number, n: number): string =>
  `${String(kind).padStart(8, '0')}-0000-4000-8000-${String(n).padStart(12, '0')}`;

export interface PlannedHistory {
  readonly history: History;
  readonly accounts: readonly string[];
  /** RevOS's tables that are there. */
  readonly has: { readonly campaigns: boolean; readonly users: boolean };
  /** The first and the last day on which anything can have happened anywhere. */
  readonly from: string;
  readonly to: string;
}

export function planHistory(random: Random, zones: readonly string[]): PlannedHistory {
  const world = planWorld(random, zones);
  const startMs = world.startMs - (DAYS / 2) * DAY_MS;
  const accounts = world.accounts.map(({ id }) => id);
  const policies = new Map<string, PolicyOfAccount>();
  // One of them without a policy: its days are those of UTC.
  for (const { id, policy } of world.accounts.slice(random.chance(0.5) ? 1 : 0)) policies.set(id, policy);
  const campaigns = [null, idOf(1, 1), idOf(1, 2), idOf(1, 3)];
  const clients = [null, idOf(2, 1), idOf(2, 2)];

  /** An instant, most likely some seconds before or after a midnight of the account. */
  const instant = (account: string): string => {
    let atMs = startMs + random.integer(0, DAYS * DAY_MS);
    if (random.chance(0.7)) {
      const { secondOfDay } = localTime(policies.get(account)?.time_zone ?? 'UTC', atMs);
      atMs +=
        -secondOfDay * 1000 + random.pick([-HOUR_MS, -1000, 0, 1000, HOUR_MS, random.integer(-3e6, 3e6)]);
    }
    return new Date(atMs).toISOString();
  };
  const later = (at: string, ms: number): string => new Date(Date.parse(at) + ms).toISOString();

  const messages: RawMessage[] = Array.from({ length: random.integer(20, 60) }, (_, n) => {
    const account = random.pick(accounts);
    const created = instant(account);
    return {
      id: idOf(3, n),
      linkedin_account_id: account,
      campaign_id: random.pick(campaigns),
      status: random.pick(['pending', 'sent', 'failed', 'failed', 'unknown', 'cancelled'] as const),
      reason: random.pick(REASONS),
      // Also later than it was sent: somebody has changed it since.
      send_at: later(created, random.integer(-HOUR_MS, DAY_MS)),
      created_at: created,
    };
  });

  const inFlight = new Set<string>();
  const attemptAt = (account: string, started: string) => {
    const outcome = random.pick(['sent', 'sent', 'not_sent', 'unknown', null] as const);
    // One call in flight an account, as everywhere.
    const isFree = outcome !== null || !inFlight.has(account);
    if (outcome === null) inFlight.add(account);
    return {
      account_id: account,
      started_at: started,
      outcome: isFree ? outcome : ('unknown' as const),
      effect_by: later(started, random.pick([0, 1500, 120_000, 1_800_000])),
    };
  };
  const dmAttempts: RawDmAttempt[] = [];
  const postAttempts: RawPostAttempt[] = [];
  for (let n = 0; n < random.integer(20, 80); n += 1) {
    // Some are of messages that were deleted.
    const message = random.chance(0.85) ? random.pick(messages) : undefined;
    const account = message && random.chance(0.95) ? message.linkedin_account_id : random.pick(accounts);
    dmAttempts.push({
      id: idOf(4, n),
      message_id: message?.id ?? idOf(5, n),
      ...attemptAt(account, instant(account)),
    });
  }

  const posts: RawPost[] = Array.from({ length: random.integer(4, 16) }, (_, n) => {
    const account = random.chance(0.95) ? random.pick(accounts) : null;
    return {
      id: idOf(6, n),
      linkedin_account_id: account,
      campaign_id: random.pick(campaigns),
      status: random.pick(['scheduled', 'published', 'failed'] as const),
      scheduled_for: random.chance(0.95) ? instant(account ?? accountId(1)) : null,
    };
  });
  inFlight.clear();
  for (let n = 0; n < random.integer(4, 20); n += 1) {
    const post = random.chance(0.9) ? random.pick(posts) : undefined;
    const account = post?.linkedin_account_id ?? random.pick(accounts);
    postAttempts.push({
      id: idOf(7, n),
      post_id: post?.id ?? idOf(8, n),
      ...attemptAt(account, instant(account)),
    });
  }
  const publications: RawPublication[] = posts
    .filter(() => random.chance(0.9))
    .map((post) => {
      const state = random.pick([
        'waiting',
        'published',
        'failed',
        'failed',
        'missed',
        'missed',
        'held',
      ] as const);
      // RevOS has put some to another time since.
      const missedFor = random.chance(0.85) ? post.scheduled_for : instant(accountId(1));
      return {
        post_id: post.id,
        state,
        missed_for: state === 'missed' ? missedFor : null,
        created_at: instant(post.linkedin_account_id ?? accountId(1)),
      };
    });

  const has = { campaigns: random.chance(0.6), users: random.chance(0.6) };
  const known = <Key extends string | null>(keys: readonly Key[], isThere: boolean) =>
    new Map(
      keys
        .filter((key): key is Key & string => key !== null && isThere && random.chance(0.8))
        .map((key) => [key, random.pick(clients)]),
    );
  const byStart = (a: { started_at: string }, b: { started_at: string }) =>
    Date.parse(a.started_at) - Date.parse(b.started_at);
  return {
    history: {
      messages,
      dmAttempts: dmAttempts.sort(byStart),
      posts,
      postAttempts: postAttempts.sort(byStart),
      publications,
      policies,
      clientOfCampaign: known(campaigns, has.campaigns),
      clientOfAccount: known(accounts, has.users),
    },
    accounts,
    has,
    from: new Date(startMs - 3 * DAY_MS).toISOString().slice(0, 10),
    to: new Date(startMs + (DAYS + 4) * DAY_MS).toISOString().slice(0, 10),
  };
}

/** Puts a history into an empty database, RevOS's tables with it. */
export async function storeHistory(
  session: Session,
  { history, accounts, has }: PlannedHistory,
): Promise<void> {
  const userOf = (account: string): string => `9${account.slice(1)}`;
  await session.asOwner('drop table if exists public.campaigns', []);
  await session.asOwner('drop table if exists public.users', []);
  for (const [name, rows] of [
    ['campaigns', history.clientOfCampaign],
    ['users', new Map([...history.clientOfAccount].map(([id, client]) => [userOf(id), client]))],
  ] as const) {
    if (!has[name]) continue;
    await session.asOwner(`create table public.${name} (id uuid primary key, client_id uuid)`, []);
    await session.asOwner(`grant select on public.${name} to service_role`, []);
    await insertRows(
      session,
      name,
      [...rows].map(([id, client_id]) => ({ id, client_id })),
    );
  }
  await insertRows(
    session,
    'linkedin_accounts',
    accounts.map((id, n) => ({
      id,
      account_name: `Account ${n}`,
      unipile_account_id: `u${n}`,
      user_id: userOf(id),
    })),
  );
  for (const [account_id, policy] of history.policies) {
    await session.query(
      'insert into account_policies (account_id, time_zone, dms_per_day, warm_up_from) values ($1, $2, $3, $4)',
      [account_id, policy.time_zone, policy.dms_per_day, policy.warm_up_from],
    );
  }
  await insertMessages(session, history.messages);
  await insertDmAttempts(session, history.dmAttempts);
  await insertPosts(session, history.posts);
  await insertPostAttempts(session, history.postAttempts);
  await insertPublications(session, history.publications);
}
