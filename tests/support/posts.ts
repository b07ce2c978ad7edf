/** Posts by state, as RevOS writes them. Everything has a default, so an option in a test means something. */
import { type ClaimedPost, createPostStore, type PostResult, type PostStore } from '@revos/core/posts';
import { openAccount, type PolicyFields } from './builders.ts';
import type { Session } from './database.ts';

export const POST_LEASE_MS = 300_000;
export const LATE_LIMIT_MINUTES = 360;

/** The posts of a session, under its clock. */
export function postsOf(session: Session, lateLimitMinutes = LATE_LIMIT_MINUTES): PostStore {
  return createPostStore(session.rpc, lateLimitMinutes);
}

/** An account that is connected; its posts need no gap unless `gapS` says so. */
export async function postingAccount(
  session: Session,
  n: number,
  gapS = 0,
  policy: Partial<PolicyFields> = {},
): Promise<string> {
  const id = await openAccount(session, n, policy);
  await session.query('update account_policies set post_gap_s = $2 where account_id = $1', [id, gapS]);
  return id;
}

export interface RevosPost {
  readonly linkedin_account_id: string | null;
  readonly content?: string;
  readonly status?: string;
  readonly scheduled_for?: Date | null;
  readonly unipile_post_id?: string | null;
}

/** A row in RevOS's table: scheduled for the session's clock unless it says otherwise. Gives its id. */
export async function insertPost(session: Session, post: RevosPost): Promise<string> {
  const { linkedin_account_id, content = 'Hello', status = 'scheduled', unipile_post_id = null } = post;
  const scheduledFor = post.scheduled_for === undefined ? session.clock.now : post.scheduled_for;
  const [row] = await session.query(
    `insert into posts (linkedin_account_id, content, status, scheduled_for, unipile_post_id)
     values ($1, $2, $3, $4, $5) returning id`,
    [linkedin_account_id, content, status, scheduledFor?.toISOString() ?? null, unipile_post_id],
  );
  return String(row?.id);
}

/** Writes into a post as RevOS does, without asking. */
export async function revosSets(
  session: Session,
  id: string,
  fields: Readonly<Record<string, unknown>>,
): Promise<void> {
  for (const [name, value] of Object.entries(fields)) {
    await session.query(`update posts set ${name} = $2 where id = $1`, [id, value]);
  }
}

export interface PostClaimOptions {
  readonly limit?: number;
  readonly leaseMs?: number;
  readonly claimId?: string;
  readonly worker?: string;
  readonly accountIds?: readonly string[] | null;
  readonly lateLimitMinutes?: number;
}

/** Claims at the session's clock. */
export async function claimPosts(
  session: Session,
  options: PostClaimOptions = {},
): Promise<readonly ClaimedPost[]> {
  return (await claimAnswer(session, options)).items;
}

export function claimAnswer(session: Session, options: PostClaimOptions = {}) {
  return postsOf(session, options.lateLimitMinutes).claim({
    claimId: options.claimId ?? crypto.randomUUID(),
    worker: options.worker ?? 'worker-1',
    limit: options.limit ?? 10,
    leaseMs: options.leaseMs ?? POST_LEASE_MS,
    draw: 0,
    accountIds: options.accountIds ?? null,
  });
}

/** Claims the one post that can be claimed. */
export async function claimPost(session: Session, options: PostClaimOptions = {}): Promise<ClaimedPost> {
  const claimed = await claimPosts(session, options);
  const [only] = claimed;
  if (claimed.length !== 1 || !only) throw new Error(`expected one post, claimed ${claimed.length}`);
  return only;
}

export type PostEnding = Omit<PostResult, 'attempt_id'>;
export const SENT: PostEnding = {
  outcome: 'sent',
  http_status: 201,
  unipile_post_id: 'p1',
  social_id: 'urn:li:activity:p1',
  share_url: 'https://www.linkedin.com/feed/update/p1',
};
export const UNKNOWN: PostEnding = { outcome: 'unknown', reason: 'answer_lost', error: 'no answer' };
export const FAIL: PostEnding = {
  outcome: 'not_sent',
  next_step: 'fail',
  reason: 'rejected',
  error: 'Refused',
};
export const RETRY: PostEnding = {
  outcome: 'not_sent',
  next_step: 'retry',
  reason: 'unreachable',
  retry_after_ms: 60_000,
};
export const RELEASE: PostEnding = { outcome: 'not_sent', next_step: 'release' };

export async function recordPost(
  session: Session,
  attempt: Pick<ClaimedPost, 'attempt_id'>,
  ending: PostEnding,
) {
  const [answer] = await postsOf(session).record([{ attempt_id: attempt.attempt_id, ...ending }]);
  return answer;
}

/** What RevOS reads of a post. */
export async function revosReads(session: Session, id: string): Promise<Record<string, unknown>> {
  const [row] = await session.query('select * from posts where id = $1', [id]);
  if (!row) throw new Error(`no such post: ${id}`);
  return row;
}

export async function publicationOf(session: Session, id: string): Promise<Record<string, unknown>> {
  const [row] = await session.query('select * from post_publications where post_id = $1', [id]);
  if (!row) throw new Error(`no publication: ${id}`);
  return row;
}

export async function attemptsOf(session: Session, id: string): Promise<readonly Record<string, unknown>[]> {
  return session.query('select * from post_attempts where post_id = $1 order by position', [id]);
}

/** Looks at every post, and claims nothing: it asks for an account that there is not. */
export async function look(session: Session, lateLimitMinutes = LATE_LIMIT_MINUTES): Promise<void> {
  await claimPosts(session, { accountIds: [crypto.randomUUID()], lateLimitMinutes });
}

/** Does one thing to some posts, as an operator called Ada. */
export async function actOnPosts(
  session: Session,
  action: string,
  ids: readonly string[],
  args: Readonly<Record<string, unknown>> = {},
): Promise<{
  readonly changed: number;
  readonly refused: ReadonlyArray<{ readonly status: string | null; readonly problem: string }>;
}> {
  return session.rpc.call('post_act', { action, selection: { ids }, args, dry_run: false, actor: 'ada' });
}
