/**
 * The final check, after hours without faults: nothing is stuck or lost, and what is left says why.
 */
import { REASONS } from '@revos/core/sending';
import { isWindowOpen, limitsReached } from '../support/account-rules.ts';
import { DAY_MS, HOUR_MS, LEASE_MS, MINUTE_MS, type PolicyFields } from '../support/builders.ts';
import type { Session } from '../support/session.ts';
import { type Item, throwViolation } from './invariant-violation.ts';
import type { Plan } from './plan.ts';

export interface FinalCheck {
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

/** @throws {InvariantViolation} */
export async function runFinalCheck(check: FinalCheck): Promise<void> {
  await checkRunsEnded(check);
  await checkMessages(check);
  await checkPosts(check);
  checkVisible(check);
}

/** A run may fail because our key is refused, or the database is down for too long: no more. */
const FAILURES = /refuses our API key|^(dm|post|run)_[a-z_]+: /;

async function checkRunsEnded({ session, states, count }: FinalCheck): Promise<void> {
  const runs = await activeRuns(session);
  if (runs.length > 0) throwViolation(`a run has not finished: ${JSON.stringify(runs)}`);
  const failed = await session.query(`select job, error from public.job_runs where status = 'failed'`, []);
  for (const { job, error } of failed) {
    count('failed runs');
    if (!FAILURES.test(String(error))) throwViolation(`a run of ${job} failed: ${error}`);
  }
  for (const [state, text] of states.values()) {
    if (state === 'sending' || state === 'publishing') throwViolation(`still ${state}: ${text}`);
  }
}

interface Explanation {
  readonly reason: string;
  readonly can_go_at: string | null;
}

/** The longest that an answer, or a retry, defers a message, in milliseconds. */
const DEFERRED_MS_MAX = 25 * HOUR_MS;

/** Reasons that defer one row; all others are the account's. */
const REASONS_OF_ROW = [
  'rate_limited',
  'recipient_later',
  'retry_later',
  'unreachable',
  'chat_missing',
  'gateway_refused',
  'not_read_back',
];

async function checkMessages({ plan, session, now, policies, dueMs, count }: FinalCheck): Promise<void> {
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
    if (!Object.hasOwn(REASONS, why.reason)) throwViolation(`an unlisted reason: ${what}`);
    count(`unsent: ${row.status === 'pending' ? why.reason : row.status}`);
    if (row.status === 'unknown') {
      // Nobody can tell which of the twins LinkedIn shows: a person decides at once.
      const isHeldForTwin = row.has_unnamed_twin === true && why.reason === 'unknown_held';
      if (!isHeldForTwin && !isHeld(why, plan, Number(row.attempts))) throwViolation(`not settled: ${what}`);
      continue;
    }
    if (why.can_go_at === null) throwViolation(`no instant at which it can go: ${what}`);
    const waitsMs = Date.parse(String(why.can_go_at)) - nowMs;
    // It may go later than that: in the next window.
    const deferredMs = new Date(String(row.not_before)).getTime() - nowMs;
    const policy = policies.get(String(row.account)) as PolicyFields;
    const counted = (row.counted as string[]).map((at) => Date.parse(at));
    // What became free after the last run ended waits for the next run.
    const isAccountBlocked = [new Date(String(row.run_ended_at)).getTime(), nowMs].some(
      (atMs) => !isWindowOpen(policy, atMs) || limitsReached(policy, counted, atMs).length > 0,
    );
    const isBlocked =
      isAccountBlocked ||
      nowMs - new Date(String(row.last_at)).getTime() < policy.gap_max_s * 1_000 + LEASE_MS ||
      (dueMs.get(String(row.message)) ?? Number.POSITIVE_INFINITY) > nowMs ||
      (REASONS_OF_ROW.includes(why.reason) && deferredMs > 0 && deferredMs < DEFERRED_MS_MAX);
    if (!isBlocked) throwViolation(`not sent although nothing blocks it: ${what}`);
    if (waitsMs > 15 * DAY_MS) throwViolation(`deferred for too long: ${what}`);
  }
}

/** It is sent once more, and no more: then a person decides. */
function isHeld({ reason }: Explanation, plan: Plan, attempts: number): boolean {
  return reason === 'unknown_held' && (plan.unknownPolicy === 'hold' || attempts > 1);
}

/** A post may wait for the one before it: for the gap, and for the next trigger after that. */
const POST_WAIT_MS_MAX = 90 * MINUTE_MS;

async function checkPosts({ plan, session, now, count }: FinalCheck): Promise<void> {
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
    if (!Object.hasOwn(REASONS, why.reason)) throwViolation(`an unlisted reason: ${what}`);
    if (row.state === 'unknown' && !isHeld(why, plan, Number(row.attempts)))
      throwViolation(`not settled: ${what}`);
    if (row.status !== 'scheduled' || !['none', 'waiting'].includes(String(row.state))) continue;
    count(`unpublished: ${why.reason}`);
    const waitedMs = [row.scheduled_for, row.not_before, row.last_at]
      .filter((instant) => instant !== null)
      .map((instant) => now.getTime() - new Date(String(instant)).getTime());
    if (Math.min(...waitedMs) > POST_WAIT_MS_MAX)
      throwViolation(`not published although nothing blocks it: ${what}`);
  }
}

/** LinkedIn shows each message and post as often as the database says. */
function checkVisible({ plan, items, states, count }: FinalCheck): void {
  const planned = plan.accounts.reduce((sum, { messages, posts }) => sum + messages.length + posts.length, 0);
  if (states.size !== planned) throwViolation(`${states.size} rows of ${planned} planned`);
  const expected = new Map<string, { min: number; max: number }>();
  for (const [state, text] of states.values()) {
    count(`final state: ${state}`);
    const range = expected.get(text) ?? { min: 0, max: 0 };
    // A row that a person dropped, or has yet to settle, may have been sent.
    const isOpen = state === 'unknown' || state === 'dropped';
    if (state === 'sent' || state === 'published') range.min += 1;
    if (state === 'sent' || state === 'published' || isOpen) range.max += 1;
    expected.set(text, range);
  }
  for (const [text, { min, max }] of expected) {
    const visible = items.get(text)?.visible ?? 0;
    if (visible < min)
      throwViolation(`lost: visible ${visible} times, recorded as sent ${min} times: ${text}`);
    if (visible > max)
      throwViolation(`not recorded: visible ${visible} times, at most ${max} expected: ${text}`);
  }
}
