/**
 * Accounts, messages and attempts by state. Everything has a default, so an option in a test means
 * something.
 */
import type { ClaimedMessage, NewMessage } from '@revos/core/dm';
import type { Session } from './database.ts';

/** Fixed ids, readable in a failure. */
export const accountId = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
export const recipientId = (n: number): string => `ACoAA${n}`;

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
export const LEASE_MS = 120_000;

/** Nothing of an account's rules stands in the way: tests then set the one rule they are about. */
export const OPEN_POLICY = {
  dms_per_day: 50,
  dms_per_24h: 50,
  dms_per_7d: 350,
  gap_min_s: 0,
  gap_max_s: 0,
  time_zone: 'UTC',
  window_start: '00:00',
  window_end: '24:00',
  work_days: [1, 2, 3, 4, 5, 6, 7],
  holidays: [] as string[],
  warm_up_from: null as string | null,
};
export type PolicyFields = typeof OPEN_POLICY;

/** An account that is connected, with a policy that forbids nothing but what `policy` says. */
export async function openAccount(
  session: Session,
  n: number,
  policy: Partial<PolicyFields> = {},
): Promise<string> {
  const id = accountId(n);
  await session.query(
    `insert into linkedin_accounts (id, account_name, unipile_account_id) values ($1, $2, $3)`,
    [id, `Account ${n}`, `unipile-${n}`],
  );
  await session.rpc.call('account_policy_set', { account_id: id, patch: { ...OPEN_POLICY, ...policy } });
  return id;
}

export function message(account: string, over: Partial<NewMessage> = {}): NewMessage {
  return { linkedin_account_id: account, recipient_id: recipientId(1), message: 'Hello', ...over };
}

/** Queues `count` messages to as many recipients, due now. Gives their ids, first first. */
export async function queue(
  session: Session,
  account: string,
  count = 1,
  over: Partial<NewMessage> = {},
): Promise<string[]> {
  const rows = Array.from({ length: count }, (_, index) =>
    message(account, { recipient_id: recipientId(index + 1), ...over }),
  );
  return (await session.dm.enqueue(rows)).messages.map((queued) => queued.id);
}

export interface ClaimOptions {
  readonly limit?: number;
  readonly leaseMs?: number;
  readonly draw?: number;
  readonly claimId?: string;
  readonly worker?: string;
  readonly accountIds?: readonly string[];
}

/** Claims at the session's clock. */
export async function claim(
  session: Session,
  options: ClaimOptions = {},
): Promise<readonly ClaimedMessage[]> {
  const answer = await session.dm.claim({
    claimId: options.claimId ?? crypto.randomUUID(),
    worker: options.worker ?? 'worker-1',
    limit: options.limit ?? 10,
    leaseMs: options.leaseMs ?? LEASE_MS,
    draw: options.draw ?? 0,
    ...(options.accountIds ? { accountIds: options.accountIds } : {}),
  });
  return answer.items;
}

/** Claims the one message that can be claimed. */
export async function claimOne(session: Session, options: ClaimOptions = {}): Promise<ClaimedMessage> {
  const claimed = await claim(session, options);
  const [only] = claimed;
  if (claimed.length !== 1 || !only) throw new Error(`expected one message, claimed ${claimed.length}`);
  return only;
}

/** Claims one message and records it as sent at the same instant. */
export async function send(session: Session): Promise<ClaimedMessage> {
  const claimed = await claimOne(session);
  await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent', unipile_message_id: 'm' }]);
  return claimed;
}

/**
 * An attempt that ended in the past, straight into the ledger.
 *
 * @param effectBy when it counts; the claim is taken to be one second earlier
 */
export async function pastAttempt(
  session: Session,
  account: string,
  effectBy: Date,
  outcome: 'sent' | 'unknown' | 'not_sent' = 'sent',
): Promise<void> {
  await session.query(
    `insert into dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until,
       finished_at, outcome, effect_by)
     values (gen_random_uuid(), $1, 'ACoAA0', gen_random_uuid(), 'worker-0', $2::timestamptz - interval '1 second', $2, $2, $3, $2)`,
    [account, effectBy.toISOString(), outcome],
  );
}

/** Does one thing to some messages, as an operator called Ada. */
export async function act(
  session: Session,
  action: string,
  ids: readonly string[],
  args: Readonly<Record<string, unknown>> = {},
): Promise<Readonly<Record<string, unknown>>> {
  return session.rpc.call('dm_act', { action, selection: { ids }, args, dry_run: false, actor: 'ada' });
}

/** What the SQL function says when asked why the message has not gone out. */
export async function reasonOf(session: Session, messageId: string): Promise<string | undefined> {
  return (await session.dm.explain(messageId))?.reason;
}

/** A message's row. */
export async function rowOf(session: Session, messageId: string): Promise<Record<string, unknown>> {
  const [row] = await session.query(`select * from dm_queue where id = $1`, [messageId]);
  if (!row) throw new Error(`no such message: ${messageId}`);
  return row;
}

/** An account's policy row. */
export async function policyOf(session: Session, account: string): Promise<Record<string, unknown>> {
  const [row] = await session.query(`select * from account_policies where account_id = $1`, [account]);
  if (!row) throw new Error(`no policy: ${account}`);
  return row;
}

/** The SQLSTATE and the field that a call is refused with; fails if it is not refused. */
export async function refusal(call: Promise<unknown>): Promise<{ code: string; field: string | null }> {
  try {
    await call;
  } catch (error) {
    const { code, detail } = error as { code?: string; detail?: string | null };
    const named = detail?.startsWith('{') ? (JSON.parse(detail) as { field?: string }).field : null;
    return { code: code ?? String(error), field: named ?? null };
  }
  throw new Error('it was not refused');
}

export const at = (iso: string): Date => new Date(iso);
export const after = (start: Date, ms: number): Date => new Date(start.getTime() + ms);
