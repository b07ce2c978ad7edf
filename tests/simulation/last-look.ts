/** The last look, after hours of calm: nothing is stuck, nothing is lost, every row says why it is where it is. */
import { REASONS } from '@revos/core/sending';
import { isWindowOpen, limitsReached } from '../support/account-rules.ts';
import { DAY_MS, HOUR_MS, LEASE_MS, MINUTE_MS, type PolicyFields } from '../support/builders.ts';
import type { Session } from '../support/session.ts';
import { broken, type Item } from './broken-promise.ts';
import type { Plan } from './plan.ts';

export interface LastLook {
  readonly plan: Plan;
  readonly session: Session;
  readonly now: Date;
  readonly policies: ReadonlyMap<string, PolicyFields>;
  readonly dueMs: ReadonlyMap<string, number>;
  readonly items: ReadonlyMap<string, Item>;
  readonly states: ReadonlyMap<string, readonly [state: string, text: string]>;
  readonly count: (name: string) => void;
}

/** Runs that are under way, or wait to be. */
export function activeRuns(session: Session): ReturnType<Session['query']> {
  return session.query(
    `select id, job, status from public.job_runs where status in ('queued', 'running')`,
    [],
  );
}

/** @throws {BrokenPromise} */
export async function lookForTheLastTime(look: LastLook): Promise<void> {
  await findUnendedRuns(look);
  await findStuckMessages(look);
  await findStuckPosts(look);
  findLost(look);
}

/** A run fails when our key is refused, and when the database is away for too long: for nothing else. */
const FAILURES = /refuses our API key|^(dm|post|run)_[a-z_]+: /;

async function findUnendedRuns({ session, states, count }: LastLook): Promise<void> {
  const runs = await activeRuns(session);
  if (runs.length > 0) broken(`a run has not ended: ${JSON.stringify(runs)}`);
  const failed = await session.query(`select job, error from public.job_runs where status = 'failed'`, []);
  for (const { job, error } of failed) {
    count('a failed run');
    if (!FAILURES.test(String(error))) broken(`a run of ${job} failed: ${error}`);
  }
  for (const [state, text] of states.values()) {
    if (state === 'sending' || state === 'publishing') broken(`still ${state}: ${text}`);
  }
}

interface Explanation {
  readonly reason: string;
  readonly can_go_at: string | null;
}

/** The longest that an answer, or a retry, puts a message off, in milliseconds. */
const PUT_OFF_MS_MAX = 25 * HOUR_MS;

/** Reasons that put one row off; all others are the account's. */
const OF_THE_ROW = [
  'rate_limited',
  'recipient_later',
  'retry_later',
  'unreachable',
  'chat_missing',
  'gateway_refused',
  'not_read_back',
];

async function findStuckMessages({ plan, session, now, policies, dueMs, count }: LastLook): Promise<void> {
  const rows = await session.query(
    `select queue.linkedin_account_id as account, queue.status, queue.message, queue.not_before, public.dm_explain(queue.id, $1) as why,
       (select max(attempt.started_at) from public.dm_attempts as attempt
        where attempt.account_id = queue.linkedin_account_id) as last_at,
       (select count(*) from public.dm_attempts as attempt where attempt.message_id = queue.id) as attempts,
       exists (
         select from public.dm_queue as twin join public.dm_attempts as attempt on attempt.message_id = twin.id
         where twin.id <> queue.id and twin.message = queue.message and twin.recipient_id = queue.recipient_id
           and attempt.outcome = 'sent' and attempt.unipile_message_id is null
       ) as has_unnamed_twin,
       (select coalesce(jsonb_agg(attempt.effect_by), '[]') from public.dm_attempts as attempt
        where attempt.account_id = queue.linkedin_account_id and attempt.outcome is distinct from 'not_sent') as counted,
       (select coalesce(max(run.finished_at), $1) from public.job_runs as run where run.job = 'dm-queue') as run_ended_at
     from public.dm_queue as queue where queue.status in ('pending', 'unknown') order by queue.position`,
    [now.toISOString()],
  );
  const nowMs = now.getTime();
  for (const row of rows) {
    const why = row.why as Explanation;
    const what = `${row.message}: ${row.status}, ${JSON.stringify(why)}`;
    if (!Object.hasOwn(REASONS, why.reason)) broken(`a reason of no list: ${what}`);
    count(`left: ${row.status === 'pending' ? why.reason : row.status}`);
    if (row.status === 'unknown') {
      // Nobody can tell which of the two alike it is that LinkedIn shows: a person decides at once.
      const isTold = row.has_unnamed_twin === true && why.reason === 'unknown_held';
      if (!isTold && !isHeld(why, plan, Number(row.attempts))) broken(`not settled: ${what}`);
      continue;
    }
    if (why.can_go_at === null) broken(`it does not say when it can go: ${what}`);
    const waitsMs = Date.parse(String(why.can_go_at)) - nowMs;
    // When it goes may be later: in the next window after that.
    const putOffMs = new Date(String(row.not_before)).getTime() - nowMs;
    const policy = policies.get(String(row.account)) as PolicyFields;
    const counted = (row.counted as string[]).map((at) => Date.parse(at));
    // What is free only since the last run ended waits for the next.
    const isAccountBlocked = [new Date(String(row.run_ended_at)).getTime(), nowMs].some(
      (atMs) => !isWindowOpen(policy, atMs) || limitsReached(policy, counted, atMs).length > 0,
    );
    const isBlocked =
      isAccountBlocked ||
      nowMs - new Date(String(row.last_at)).getTime() < policy.gap_max_s * 1_000 + LEASE_MS ||
      (dueMs.get(String(row.message)) ?? Number.POSITIVE_INFINITY) > nowMs ||
      (OF_THE_ROW.includes(why.reason) && putOffMs > 0 && putOffMs < PUT_OFF_MS_MAX);
    if (!isBlocked) broken(`nothing holds it back, and it has not gone out: ${what}`);
    if (waitsMs > 15 * DAY_MS) broken(`it is put off for too long: ${what}`);
  }
}

/** It is sent once more, and no more: then a person decides. */
function isHeld({ reason }: Explanation, plan: Plan, attempts: number): boolean {
  return reason === 'unknown_held' && (plan.unknownPolicy === 'hold' || attempts > 1);
}

/** A post may wait for the one before it: for the gap, and for the next trigger after that. */
const POST_WAIT_MS_MAX = 90 * MINUTE_MS;

async function findStuckPosts({ plan, session, now, count }: LastLook): Promise<void> {
  const rows = await session.query(
    `select post.content, post.status, post.scheduled_for, publication.not_before, public.post_explain(post.id, 360, $1) as why,
       coalesce(publication.state, 'none') as state,
       (select count(*) from public.post_attempts as attempt where attempt.post_id = post.id) as attempts,
       (select max(attempt.effect_by) from public.post_attempts as attempt
        where attempt.account_id = post.linkedin_account_id and attempt.outcome is distinct from 'not_sent') as last_at
     from public.posts as post left join public.post_publications as publication on publication.post_id = post.id
     order by post.content`,
    [now.toISOString()],
  );
  for (const row of rows) {
    const why = row.why as Explanation;
    const what = `${row.content}: ${row.status}, ${row.state}, ${JSON.stringify(why)}`;
    if (!Object.hasOwn(REASONS, why.reason)) broken(`a reason of no list: ${what}`);
    if (row.state === 'unknown' && !isHeld(why, plan, Number(row.attempts))) broken(`not settled: ${what}`);
    if (row.status !== 'scheduled' || !['none', 'waiting'].includes(String(row.state))) continue;
    count(`left of posts: ${why.reason}`);
    const waitedMs = [row.scheduled_for, row.not_before, row.last_at]
      .filter((instant) => instant !== null)
      .map((instant) => now.getTime() - new Date(String(instant)).getTime());
    if (Math.min(...waitedMs) > POST_WAIT_MS_MAX)
      broken(`nothing holds it back, and it is not published: ${what}`);
  }
}

/** What the database says of a message or a post, LinkedIn shows. */
function findLost({ plan, items, states, count }: LastLook): void {
  const written = plan.accounts.reduce((sum, { messages, posts }) => sum + messages.length + posts.length, 0);
  if (states.size !== written) broken(`${written} were written, and ${states.size} are there`);
  const may = new Map<string, { least: number; most: number }>();
  for (const [state, text] of states.values()) {
    count(`end: ${state}`);
    const range = may.get(text) ?? { least: 0, most: 0 };
    // A row that a person gave up, or holds, may have been sent.
    const isOpen = state === 'unknown' || state === 'dropped';
    if (state === 'sent' || state === 'published') range.least += 1;
    if (state === 'sent' || state === 'published' || isOpen) range.most += 1;
    may.set(text, range);
  }
  for (const [text, { least, most }] of may) {
    const seen = items.get(text)?.seen ?? 0;
    if (seen < least) broken(`lost: ${text} is sent ${least} times for the database, and seen ${seen} times`);
    if (seen > most) broken(`not known to be sent: ${text} is seen ${seen} times, and ${most} may be`);
  }
}
