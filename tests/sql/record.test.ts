/** What became of an attempt: for its message, its account, and for whoever reports too late. */
import type { ClaimedMessage, DmResult } from '@revos/core/dm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountId,
  after,
  at,
  claim,
  claimOne,
  DAY_MS,
  HOUR_MS,
  LEASE_MS,
  MINUTE_MS,
  message,
  openAccount,
  policyOf,
  queue,
  reasonOf,
  recipientId,
  refusal,
  rowOf,
} from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';

const NOW = at('2026-03-02T10:00:00Z');
let session: Session;
let account: string;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
  account = await openAccount(session, 1);
});

type Ending = Omit<DmResult, 'attempt_id'>;
const SENT: Ending = { outcome: 'sent', unipile_message_id: 'm1', chat_id: 'c1', http_status: 201 };
const UNKNOWN: Ending = { outcome: 'unknown', reason: 'answer_lost', error: 'no answer' };
const RELEASE: Ending = { outcome: 'not_sent', next_step: 'release' };
const RETRY: Ending = { outcome: 'not_sent', next_step: 'retry', reason: 'unreachable' };
const WAIT: Ending = { outcome: 'not_sent', next_step: 'wait', reason: 'rate_limited' };
const FAIL: Ending = { outcome: 'not_sent', next_step: 'fail', reason: 'rejected', error: 'Refused' };

async function record(attempt: Pick<ClaimedMessage, 'attempt_id'>, ending: Ending) {
  const [answer] = await session.dm.record([{ attempt_id: attempt.attempt_id, ...ending }]);
  return answer;
}

async function attemptOf(id: string): Promise<Record<string, unknown>> {
  const [row] = await session.query('select * from dm_attempts where id = $1', [id]);
  if (!row) throw new Error(`no attempt ${id}`);
  return row;
}

const advance = (ms: number): void => {
  session.clock.now = after(session.clock.now, ms);
};

describe('every outcome and next step', () => {
  const LATER = { retry_after_ms: 90_000 };
  it.each([
    {
      ending: SENT,
      status: 'sent',
      row: { sent_at: after(NOW, 5000), unipile_message_id: 'm1', chat_id: 'c1', reason: null, attempts: 0 },
    },
    { ending: { ...SENT, chat_id: null }, status: 'sent', row: { chat_id: 'c0' } },
    {
      ending: UNKNOWN,
      status: 'unknown',
      row: { reason: 'answer_lost', error: 'no answer', sent_at: null, attempts: 0 },
    },
    { ending: RELEASE, status: 'pending', row: { reason: null, not_before: null, attempts: 0 } },
    {
      ending: { ...WAIT, ...LATER },
      status: 'pending',
      row: { reason: 'rate_limited', not_before: after(NOW, 95_000), attempts: 0 },
    },
    { ending: WAIT, status: 'pending', row: { not_before: null, attempts: 0 } },
    {
      ending: { ...RETRY, ...LATER },
      status: 'pending',
      row: { reason: 'unreachable', not_before: after(NOW, 95_000), attempts: 1 },
    },
    {
      ending: { outcome: 'not_sent', next_step: 'restart', reason: 'chat_missing' } as Ending,
      status: 'pending',
      row: { reason: 'chat_missing', chat_id: null, attempts: 1 },
    },
    {
      ending: { ...RETRY, error: 'e'.repeat(501) },
      status: 'pending',
      row: { chat_id: 'c0', error: 'e'.repeat(500) },
    },
    { ending: FAIL, status: 'failed', row: { reason: 'rejected', error: 'Refused', attempts: 0 } },
  ])('$ending.outcome $ending.next_step → $status', async ({ ending, status, row }) => {
    const [id = ''] = await queue(session, account, 1, { chat_id: 'c0' });
    const claimed = await claimOne(session);
    expect(await rowOf(session, id)).toMatchObject({ status: 'sending', reason: null });
    advance(5000);
    expect(await record(claimed, ending)).toEqual({
      attempt_id: claimed.attempt_id,
      applied: 'recorded',
      status,
    });
    expect(await rowOf(session, id)).toMatchObject({ status, ...row });
    expect(await attemptOf(claimed.attempt_id)).toMatchObject({
      outcome: ending.outcome,
      finished_at: after(NOW, 5000),
      effect_by: ending.outcome === 'sent' ? after(NOW, 5000) : after(NOW, LEASE_MS),
    });
  });

  it('what Unipile says is stored whole, or cut to size, and never refused', async () => {
    const [id = ''] = await queue(session, account, 1, { chat_id: 'c0' });
    const claimed = await claimOne(session);
    await record(claimed, {
      ...SENT,
      unipile_message_id: 'm'.repeat(300),
      chat_id: 'c'.repeat(300),
      detail: 'd'.repeat(900),
      error_type: 't'.repeat(300),
    });
    expect(await rowOf(session, id)).toMatchObject({
      status: 'sent',
      // Cut it would be another's.
      unipile_message_id: null,
      chat_id: 'c0',
    });
    expect(await attemptOf(claimed.attempt_id)).toMatchObject({
      unipile_message_id: null,
      unipile_chat_id: null,
      detail: 'd'.repeat(500),
      error_type: 't'.repeat(100),
      http_status: 201,
    });
  });

  it('an empty id of a chat or a message is none', async () => {
    const [id = ''] = await queue(session, account, 1, { chat_id: 'c0' });
    const claimed = await claimOne(session);
    expect(await record(claimed, { ...SENT, unipile_message_id: '', chat_id: '' })).toMatchObject({
      applied: 'recorded',
      status: 'sent',
    });
    expect(await rowOf(session, id)).toMatchObject({ unipile_message_id: null, chat_id: 'c0' });
  });

  it('ids of 200 characters are kept', async () => {
    const [id = ''] = await queue(session, account);
    const ids = { unipile_message_id: 'm'.repeat(200), chat_id: 'c'.repeat(200) };
    await record(await claimOne(session), { ...SENT, ...ids });
    expect(await rowOf(session, id)).toMatchObject({ status: 'sent', ...ids });
  });

  it('many at once, each answered in its place', async () => {
    const claims: ClaimedMessage[] = [];
    for (const n of [2, 3]) await openAccount(session, n);
    for (const n of [1, 2, 3]) await queue(session, accountId(n));
    claims.push(...(await claim(session)));
    const none = crypto.randomUUID();
    const [a, b, c] = claims;
    expect(
      await session.dm.record([
        { attempt_id: a?.attempt_id ?? '', ...SENT },
        { attempt_id: none, ...SENT },
        { attempt_id: b?.attempt_id ?? '', ...FAIL },
        { attempt_id: a?.attempt_id ?? '', ...UNKNOWN },
        { attempt_id: c?.attempt_id ?? '', ...UNKNOWN },
      ]),
    ).toEqual([
      { attempt_id: a?.attempt_id, applied: 'recorded', status: 'sent' },
      { attempt_id: none, applied: 'missing', status: null },
      { attempt_id: b?.attempt_id, applied: 'recorded', status: 'failed' },
      { attempt_id: a?.attempt_id, applied: 'ignored', status: 'sent' },
      { attempt_id: c?.attempt_id, applied: 'recorded', status: 'unknown' },
    ]);
  });

  it('of one account in one call: one after the other, in the order given', async () => {
    const [first = '', second = ''] = await queue(session, account, 2);
    const lost = await claimOne(session);
    await record(lost, UNKNOWN);
    advance(LEASE_MS);
    const next = await claimOne(session);
    const { attempt_id } = next;
    // What is known of both only now: the first was sent, and of the second the truth comes last.
    expect(
      await session.dm.record([
        { attempt_id: lost.attempt_id, ...SENT },
        { attempt_id, ...UNKNOWN, is_strike: true },
        { attempt_id, ...SENT, unipile_message_id: 'm2' },
        { attempt_id, ...FAIL },
      ]),
    ).toEqual([
      { attempt_id: lost.attempt_id, applied: 'late', status: 'sent' },
      { attempt_id, applied: 'recorded', status: 'unknown' },
      { attempt_id, applied: 'late', status: 'sent' },
      { attempt_id, applied: 'ignored', status: 'sent' },
    ]);
    expect(await rowOf(session, first)).toMatchObject({ status: 'sent', unipile_message_id: 'm1' });
    expect(await rowOf(session, second)).toMatchObject({ status: 'sent', unipile_message_id: 'm2' });
  });

  it('the account is looked at again when its pace allows it, and not before', async () => {
    await session.rpc.call('account_policy_set', {
      account_id: account,
      patch: { gap_min_s: 90, gap_max_s: 90 },
    });
    await queue(session, account, 2);
    await record(await claimOne(session), SENT);
    expect((await policyOf(session, account)).next_claim_at).toEqual(after(NOW, 90_000));
    advance(89_999);
    expect(await claim(session)).toEqual([]);
    advance(1);
    expect(await claim(session)).toHaveLength(1);
  });

  it.each([
    [null],
    [{}],
    [[{}]],
    [['text']],
    [[[]]],
    [[[{ attempt_id: accountId(1), outcome: 'sent' }]]],
    [[{ attempt_id: accountId(1), outcome: 'delivered' }]],
    [[{ attempt_id: accountId(1), outcome: null }]],
    [[{ attempt_id: accountId(1), outcome: ['sent'] }]],
    [[{ attempt_id: accountId(1), outcome: 'not_sent', next_step: ['wait', 'odd'] }]],
    [[{ attempt_id: accountId(1), outcome: 'not_sent' }]],
    [[{ attempt_id: accountId(1), outcome: 'not_sent', next_step: 'again' }]],
    [Array(1001).fill({ attempt_id: accountId(1), outcome: 'sent' })],
  ])('DM040: %j', async (results) => {
    await expect(session.rpc.call('dm_record', { results })).rejects.toMatchObject({
      kind: 'rule',
      code: 'DM040',
    });
  });

  it('a bad result among good ones leaves all of them open', async () => {
    await queue(session, account);
    const claimed = await claimOne(session);
    const results = [
      { attempt_id: claimed.attempt_id, ...SENT },
      { attempt_id: claimed.attempt_id, outcome: 'odd' },
    ];
    await expect(session.rpc.call('dm_record', { results })).rejects.toMatchObject({ code: 'DM040' });
    expect((await attemptOf(claimed.attempt_id)).outcome).toBeNull();
  });
});

describe('retries', () => {
  it('five after the first attempt, then it has failed; waits burn none', async () => {
    const [id = ''] = await queue(session, account);
    for (let burned = 1; burned <= 5; burned += 1) {
      const waiting = await claimOne(session);
      await record(waiting, WAIT);
      const claimed = await claimOne(session);
      expect(claimed.attempts).toBe(burned - 1);
      expect((await record(claimed, RETRY))?.status).toBe('pending');
      expect(await rowOf(session, id)).toMatchObject({ attempts: burned });
    }
    expect((await record(await claimOne(session), WAIT))?.status).toBe('pending');
    expect((await record(await claimOne(session), RETRY))?.status).toBe('failed');
    expect(await rowOf(session, id)).toMatchObject({ reason: 'retries_exhausted', attempts: 6 });
    expect(await claim(session)).toEqual([]);
  });

  it('a chat that cannot be used costs no message its last try: it is written to the recipient', async () => {
    const [id = ''] = await queue(session, account, 1, { chat_id: 'c0' });
    for (let burned = 0; burned < 5; burned += 1) await record(await claimOne(session), RETRY);
    const restart: Ending = { outcome: 'not_sent', next_step: 'restart', reason: 'chat_missing' };
    expect(await record(await claimOne(session), restart)).toMatchObject({ status: 'pending' });
    expect(await claimOne(session)).toMatchObject({ message_id: id, chat_id: null });
  });

  it('a wait after that burns none, and a retry is one too many', async () => {
    const [id = ''] = await queue(session, account, 1, { chat_id: 'c0' });
    for (let burned = 0; burned < 5; burned += 1) await record(await claimOne(session), RETRY);
    await record(await claimOne(session), {
      outcome: 'not_sent',
      next_step: 'restart',
      reason: 'chat_missing',
    });
    expect(await record(await claimOne(session), WAIT)).toMatchObject({ status: 'pending' });
    expect(await record(await claimOne(session), RETRY)).toMatchObject({ status: 'failed' });
    expect(await rowOf(session, id)).toMatchObject({ reason: 'retries_exhausted' });
  });

  it('go out when their time has come, not before', async () => {
    await queue(session, account);
    await record(await claimOne(session), { ...RETRY, retry_after_ms: 60_000 });
    advance(59_999);
    expect(await claim(session)).toEqual([]);
    advance(1);
    expect(await claim(session)).toHaveLength(1);
  });
});

describe('the fence', () => {
  /** A message whose attempt was lost: its lease ended without a word. */
  async function lost(): Promise<{ id: string; claimed: ClaimedMessage }> {
    const [id = ''] = await queue(session, account);
    const claimed = await claimOne(session);
    advance(LEASE_MS);
    expect(await session.rpc.call('dm_recover')).toEqual({ lost: 1, returned: 0 });
    return { id, claimed };
  }

  it.each([SENT, UNKNOWN, RETRY, FAIL])(
    'the same result twice changes nothing: $outcome $next_step',
    async (ending) => {
      const [id = ''] = await queue(session, account);
      const claimed = await claimOne(session);
      await record(claimed, { ...ending, is_strike: ending.outcome !== 'sent' });
      const before = [
        await rowOf(session, id),
        await attemptOf(claimed.attempt_id),
        await policyOf(session, account),
      ];
      advance(1000);
      expect(await record(claimed, ending)).toMatchObject({ applied: 'ignored' });
      expect([
        await rowOf(session, id),
        await attemptOf(claimed.attempt_id),
        await policyOf(session, account),
      ]).toEqual(before);
    },
  );

  it('the lease ends exactly at its instant, and then the attempt is unknown', async () => {
    const [id = ''] = await queue(session, account);
    const claimed = await claimOne(session);
    advance(LEASE_MS - 1);
    expect(await session.rpc.call('dm_recover')).toMatchObject({ lost: 0 });
    advance(1);
    expect(await session.rpc.call('dm_recover')).toMatchObject({ lost: 1 });
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown', reason: 'answer_lost' });
    expect(await attemptOf(claimed.attempt_id)).toMatchObject({
      outcome: 'unknown',
      error_type: 'lease_expired',
      strike: false,
    });
    expect(await session.rpc.call('dm_recover')).toMatchObject({ lost: 0 });
  });

  it('dm_claim recovers by itself', async () => {
    const [id = ''] = await queue(session, account, 2);
    await claimOne(session);
    advance(LEASE_MS);
    expect(await claim(session)).toHaveLength(1);
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown' });
  });

  it('a late “sent” settles an unknown message', async () => {
    const { id, claimed } = await lost();
    advance(1000);
    expect(await record(claimed, SENT)).toMatchObject({ applied: 'late', status: 'sent' });
    expect(await rowOf(session, id)).toMatchObject({
      status: 'sent',
      unipile_message_id: 'm1',
      reason: null,
      error: null,
    });
    expect(await attemptOf(claimed.attempt_id)).toMatchObject({ outcome: 'sent' });
    expect(await record(claimed, SENT)).toMatchObject({ applied: 'ignored', status: 'sent' });
  });

  it.each([RETRY, RELEASE, FAIL, WAIT, UNKNOWN])('a late $outcome $next_step is ignored', async (ending) => {
    const { id, claimed } = await lost();
    const before = [await rowOf(session, id), await policyOf(session, account)];
    expect(await record(claimed, { ...ending, pause_ms: -1, pause_reason: 'late' })).toMatchObject({
      applied: 'ignored',
      status: 'unknown',
    });
    expect([await rowOf(session, id), await policyOf(session, account)]).toEqual(before);
    expect(await claim(session)).toEqual([]);
  });

  /** A person looked on LinkedIn, saw nothing, and put the lost message back into the queue. */
  async function putBack(): Promise<{ id: string; claimed: ClaimedMessage }> {
    const { id, claimed } = await lost();
    await session.query(`update dm_attempts set outcome = 'not_sent' where id = $1`, [claimed.attempt_id]);
    await session.query(`update dm_queue set status = 'pending' where id = $1`, [id]);
    return { id, claimed };
  }

  it('a late “sent” takes a message out that would have been tried again', async () => {
    const { id, claimed } = await putBack();
    expect(await record(claimed, SENT)).toMatchObject({ applied: 'late', status: 'sent' });
    expect(await rowOf(session, id)).toMatchObject({ status: 'sent', unipile_message_id: 'm1' });
    expect(await claim(session)).toEqual([]);
  });

  it.each([RETRY, RELEASE, UNKNOWN])(
    'a late “sent” while a newer attempt is open touches the ledger alone; then $outcome $next_step ends as sent',
    async (ending) => {
      const { id, claimed } = await putBack();
      const newer = await claimOne(session);
      expect(newer.message_id).toBe(id);
      expect(await record(claimed, SENT)).toMatchObject({ applied: 'late', status: 'sending' });
      expect(await attemptOf(claimed.attempt_id)).toMatchObject({ outcome: 'sent' });
      expect(await attemptOf(newer.attempt_id)).toMatchObject({ outcome: null });
      expect(await record(newer, ending)).toMatchObject({ applied: 'recorded', status: 'sent' });
      expect(await rowOf(session, id)).toMatchObject({ status: 'sent', unipile_message_id: 'm1' });
      expect(await claim(session)).toEqual([]);
    },
  );

  it('a newer attempt that is lost too does not hide that the first was sent', async () => {
    const { id, claimed } = await putBack();
    await claimOne(session);
    await record(claimed, SENT);
    advance(LEASE_MS);
    expect(await session.rpc.call('dm_recover')).toMatchObject({ lost: 1 });
    expect(await rowOf(session, id)).toMatchObject({ status: 'sent' });
  });

  it.each(['pending', 'sent', 'failed', 'unknown', 'cancelled'])(
    'DM011: a message is not taken out of sending by hand (%s) while its call is out',
    async (status) => {
      const [id = ''] = await queue(session, account);
      const claimed = await claimOne(session);
      const code = status === 'pending' ? 'DM009' : 'DM011';
      expect(
        await refusal(session.query(`update dm_queue set status = $2 where id = $1`, [id, status])),
      ).toMatchObject({ code });
      expect(await record(claimed, SENT)).toMatchObject({ applied: 'recorded', status: 'sent' });
      expect(await attemptOf(claimed.attempt_id)).toMatchObject({ outcome: 'sent' });
    },
  );

  it('DM012: a message does not become sending by hand, where nothing would ever end it', async () => {
    const [id = ''] = await queue(session, account);
    expect(
      await refusal(session.query(`update dm_queue set status = 'sending' where id = $1`, [id])),
    ).toMatchObject({ code: 'DM012' });
    expect(await rowOf(session, id)).toMatchObject({ status: 'pending' });
    expect(await claimOne(session)).toMatchObject({ message_id: id });
  });

  it('a message deleted meanwhile leaves its attempt in the ledger', async () => {
    for (const isLost of [false, true]) {
      const [id = ''] = await queue(session, account);
      const claimed = await claimOne(session);
      await session.query(`delete from dm_queue where id = $1`, [id]);
      if (isLost) {
        advance(LEASE_MS);
        expect(await session.rpc.call('dm_recover')).toMatchObject({ lost: 1 });
      } else {
        expect(await record(claimed, SENT)).toMatchObject({ applied: 'recorded', status: null });
      }
      expect((await attemptOf(claimed.attempt_id)).outcome).toBe(isLost ? 'unknown' : 'sent');
    }
  });
});

describe('the guards hold against plain SQL', () => {
  /** What refuses a change, whether or not its writer keeps updated_at, as claims and answers do. */
  const set = async (id: string, change: string) => {
    const refused = await refusal(session.query(`update dm_queue set ${change} where id = $1`, [id]));
    const kept = `${change}, updated_at = updated_at + interval '1 second'`;
    expect(await refusal(session.query(`update dm_queue set ${kept} where id = $1`, [id]))).toEqual(refused);
    return refused;
  };

  it.each([
    ['sending', null],
    ['sent', SENT],
    ['unknown', UNKNOWN],
  ] as const)('DM009, DM010: a message that is %s', async (status, ending) => {
    const [id = ''] = await queue(session, account);
    await openAccount(session, 2);
    const claimed = await claimOne(session);
    if (ending) await record(claimed, ending);
    expect(await rowOf(session, id)).toMatchObject({ status });
    expect(await set(id, `status = 'pending'`)).toEqual({ code: 'DM009', field: 'status' });
    expect(await set(id, `status = 'pending', not_before = now()`)).toMatchObject({ code: 'DM009' });
    expect(await set(id, `message = 'Other'`)).toMatchObject({ code: 'DM010' });
    expect(await set(id, `recipient_id = 'ACoAB'`)).toMatchObject({ code: 'DM010' });
    expect(await set(id, `linkedin_account_id = '${accountId(2)}'`)).toMatchObject({ code: 'DM010' });
  });

  it('DM009: not by way of another status either', async () => {
    const [id = ''] = await queue(session, account);
    await record(await claimOne(session), UNKNOWN);
    await session.query(`update dm_queue set status = 'failed' where id = $1`, [id]);
    expect(await set(id, `status = 'pending'`)).toMatchObject({ code: 'DM009' });
  });

  it.each([FAIL, RETRY])('what was provably not sent may be queued again: $next_step', async (ending) => {
    const [id = ''] = await queue(session, account);
    await record(await claimOne(session), ending);
    await session.query(`update dm_queue set status = 'cancelled' where id = $1`, [id]);
    await session.query(`update dm_queue set status = 'pending', message = 'Better' where id = $1`, [id]);
    expect(await claimOne(session)).toMatchObject({ message_id: id, message: 'Better' });
  });
});

it('every change is dated: a claim, an answer, and plain SQL', async () => {
  const [id = ''] = await queue(session, account);
  const isDated = async (change: () => Promise<unknown>): Promise<boolean> => {
    await session.query(`update dm_queue set updated_at = '2020-01-01'`, []);
    await change();
    return new Date(String((await rowOf(session, id)).updated_at)).getUTCFullYear() > 2020;
  };
  expect(await isDated(() => Promise.resolve())).toBe(false);
  expect(await isDated(() => session.query(`update dm_queue set error = 'By hand'`, []))).toBe(true);
  let claimed: ClaimedMessage | undefined;
  const isClaimDated = await isDated(async () => {
    claimed = await claimOne(session);
  });
  expect(isClaimDated).toBe(true);
  if (claimed === undefined) throw new Error('nothing was claimed');
  const { attempt_id } = claimed;
  expect(await isDated(() => record({ attempt_id }, SENT))).toBe(true);
});

describe('the indexes hold where a rule were forgotten', () => {
  it('one attempt in flight an account', async () => {
    await queue(session, account);
    await claimOne(session);
    const open = (outcome: string | null) =>
      session.query(
        `insert into dm_attempts (message_id, account_id, recipient_id, claim_id, worker, started_at, lease_until,
           effect_by, finished_at, outcome)
         select gen_random_uuid(), account_id, 'ACoAA2', claim_id, worker, started_at, lease_until, effect_by,
           case when $1::text is not null then started_at end, $1 from dm_attempts`,
        [outcome],
      );
    expect(await refusal(open(null))).toMatchObject({ code: '23505' });
    await open('sent');
  });

  it('one active run a job', async () => {
    const insert = () =>
      session.query(
        `insert into job_runs (job, trigger, requested_at, heartbeat_at, horizon_at, requested_by)
         values ('dm-queue', 'ops', now(), now(), now(), 'ann')`,
        [],
      );
    await insert();
    expect(await refusal(insert())).toMatchObject({ code: '23505' });
  });
});

describe('limits', () => {
  it.each([
    [SENT, false],
    [UNKNOWN, false],
    [RETRY, true],
    [FAIL, true],
    [RELEASE, true],
  ] as const)('$outcome $next_step leaves room: %s', async (ending, isFree) => {
    await session.rpc.call('account_policy_set', { account_id: account, patch: { dms_per_24h: 1 } });
    await queue(session, account, 2);
    await record(await claimOne(session), ending);
    expect(await claim(session)).toHaveLength(isFree ? 1 : 0);
  });

  it('a lost attempt counts until a day after its lease', async () => {
    await session.rpc.call('account_policy_set', { account_id: account, patch: { dms_per_24h: 1 } });
    await queue(session, account, 2);
    await claimOne(session);
    advance(LEASE_MS + DAY_MS - 1);
    await session.rpc.call('dm_recover');
    expect(await claim(session)).toEqual([]);
  });
});

describe('the breaker', () => {
  /** Sends one message to each recipient, and reports it so. */
  async function strike(
    recipients: readonly number[],
    ending: Ending = { ...UNKNOWN, is_strike: true },
  ): Promise<void> {
    for (const recipient of recipients) {
      await session.dm.enqueue([
        message(account, { recipient_id: recipientId(recipient), send_at: session.clock.now.toISOString() }),
      ]);
      await record(await claimOne(session), ending);
      // What is unknown is in flight until then.
      advance(LEASE_MS);
    }
  }
  const pause = async () => {
    const { paused_until, pause_reason } = await policyOf(session, account);
    return { paused_until, pause_reason };
  };
  const NONE = { paused_until: null, pause_reason: null };

  it('opens at the third recipient, for 30 minutes', async () => {
    await strike([1, 2]);
    expect(await pause()).toEqual(NONE);
    const third = session.clock.now;
    await strike([3]);
    expect(await pause()).toEqual({ paused_until: after(third, 30 * MINUTE_MS), pause_reason: 'breaker' });
  });

  it('does not open for one recipient, however often', async () => {
    await strike([1, 1, 1, 1, 2, 2, 2]);
    expect(await pause()).toEqual(NONE);
  });

  it('does not count what speaks of the recipient, nor what was merely lost', async () => {
    await strike([1, 2, 3, 4], FAIL);
    expect(await pause()).toEqual(NONE);
  });

  it('a success in between starts the count again', async () => {
    await strike([1, 2]);
    await strike([9], SENT);
    await strike([3, 4]);
    expect(await pause()).toEqual(NONE);
    await strike([5]);
    expect(await pause()).toMatchObject({ pause_reason: 'breaker' });
  });

  it('half-open: one message is tried; a failure opens it again, a success closes it', async () => {
    await strike([1, 2, 3]);
    session.clock.now = after(session.clock.now, 30 * MINUTE_MS);
    const tried = session.clock.now;
    await strike([4]);
    expect(await pause()).toEqual({ paused_until: after(tried, 30 * MINUTE_MS), pause_reason: 'breaker' });
    session.clock.now = after(session.clock.now, 30 * MINUTE_MS);
    await strike([5], SENT);
    await strike([6, 7]);
    expect((await pause()).paused_until).toEqual(after(tried, 30 * MINUTE_MS));
    expect(await reasonOf(session, (await queue(session, account))[0] ?? '')).toBe('ready');
  });

  it('a resume forgives', async () => {
    await strike([1, 2, 3]);
    await session.rpc.call('account_resume', { account_id: account });
    await strike([4, 5]);
    expect(await pause()).toEqual(NONE);
    await strike([6]);
    expect(await pause()).toMatchObject({ pause_reason: 'breaker' });
  });
});

describe('a pause by a result', () => {
  const PAUSE = { pause_ms: HOUR_MS, pause_reason: 'rate_limited' };
  it('lasts as long as it says, or without end', async () => {
    await queue(session, account, 2);
    await record(await claimOne(session), { ...FAIL, ...PAUSE });
    expect(await policyOf(session, account)).toMatchObject({
      paused_until: after(NOW, HOUR_MS),
      pause_reason: 'rate_limited',
      paused_at: NOW,
    });
    advance(HOUR_MS);
    await record(await claimOne(session), { ...WAIT, pause_ms: -1, pause_reason: 'account_disconnected' });
    expect(await policyOf(session, account)).toMatchObject({
      paused_until: Number.POSITIVE_INFINITY,
      pause_reason: 'account_disconnected',
    });
  });

  describe('for a limit', () => {
    const limited = (pause_ms: number): Ending => ({ ...WAIT, pause_ms, pause_reason: 'rate_limited' });

    /**
     * Meets a limit once more, as soon as the account may write again; answers how long it rests,
     * in milliseconds.
     */
    async function meet(ending: Ending, restMs = 0): Promise<number> {
      const { paused_until } = await policyOf(session, account);
      if (paused_until instanceof Date && paused_until > session.clock.now) session.clock.now = paused_until;
      advance(restMs);
      await queue(session, account);
      await record(await claimOne(session), ending);
      const policy = await policyOf(session, account);
      expect(policy.pause_reason).toBe('rate_limited');
      return (policy.paused_until as Date).getTime() - session.clock.now.getTime();
    }

    it('is twice as long each time it comes again, from a minute to a day', async () => {
      const rests: number[] = [];
      for (let times = 0; times < 13; times += 1) rests.push(await meet(limited(0)));
      const minutes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_440, 1_440];
      expect(rests).toEqual(minutes.map((count) => count * MINUTE_MS));
    });

    it.each([
      { asked: 0, rest: MINUTE_MS },
      { asked: 59_999, rest: MINUTE_MS },
      { asked: 60_001, rest: 60_001 },
      { asked: DAY_MS, rest: DAY_MS },
      { asked: DAY_MS + 1, rest: DAY_MS },
      { asked: Number.MAX_SAFE_INTEGER, rest: DAY_MS },
    ])('that asks for $asked ms is $rest ms', async ({ asked, rest }) => {
      expect(await meet(limited(asked))).toBe(rest);
      expect(await meet(limited(asked))).toBe(Math.min(2 * rest, DAY_MS));
    });

    it('begins anew once the account has had none for a day since its rest', async () => {
      await meet(limited(MINUTE_MS));
      expect(await meet(limited(MINUTE_MS), DAY_MS - 1)).toBe(2 * MINUTE_MS);
      expect(await meet(limited(MINUTE_MS), DAY_MS)).toBe(MINUTE_MS);
    });

    it('is not forgotten for a message that goes out in between', async () => {
      await meet(limited(MINUTE_MS));
      session.clock.now = (await policyOf(session, account)).paused_until as Date;
      await queue(session, account);
      await record(await claimOne(session), SENT);
      expect(await meet(limited(MINUTE_MS))).toBe(2 * MINUTE_MS);
    });

    it('is forgiven by whoever resumes the account', async () => {
      for (let times = 0; times < 3; times += 1) await meet(limited(MINUTE_MS));
      await session.rpc.call('account_resume', { account_id: account });
      expect(await meet(limited(MINUTE_MS))).toBe(MINUTE_MS);
    });

    it('counts once for a result that is recorded twice, and not for a late one', async () => {
      await queue(session, account);
      const claimed = await claimOne(session);
      await record(claimed, limited(MINUTE_MS));
      await record(claimed, limited(MINUTE_MS));
      expect(await meet(limited(MINUTE_MS))).toBe(2 * MINUTE_MS);
    });

    it('is not shown among the fields of a policy', async () => {
      await meet(limited(MINUTE_MS));
      const policy = await session.rpc.call<object>('account_policy_set', { account_id: account, patch: {} });
      expect(Object.keys(policy).filter((name) => name.startsWith('throttle'))).toEqual([]);
    });
  });

  it.each(['infinity', after(NOW, HOUR_MS + 1).toISOString(), after(NOW, HOUR_MS).toISOString()])(
    'never shortens a person’s pause until %s',
    async (until) => {
      await queue(session, account);
      const claimed = await claimOne(session);
      await session.rpc.call('account_pause', { account_id: account, reason: 'holidays', until });
      await record(claimed, { ...WAIT, ...PAUSE });
      const policy = await policyOf(session, account);
      expect(policy.pause_reason).toBe('holidays');
      expect(policy.paused_until).toEqual(until === 'infinity' ? Number.POSITIVE_INFINITY : at(until));
    },
  );

  it.each([SENT, UNKNOWN, RELEASE])(
    'an answer after the account was seen out of order is recorded: $outcome',
    async (ending) => {
      await queue(session, account);
      const claimed = await claimOne(session);
      await session.rpc.call('account_pause', { account_id: account, reason: 'account_disconnected' });
      await session.query(`update linkedin_accounts set status = 'expired'`, []);
      await session.rpc.call('dm_recover');
      expect(await policyOf(session, account)).toMatchObject({ seen_inactive: true });
      expect(await record(claimed, ending)).toMatchObject({ applied: 'recorded' });
      expect(await policyOf(session, account)).toMatchObject({
        seen_inactive: true,
        pause_reason: 'account_disconnected',
      });
    },
  );

  it('a lease that ends after the account was seen out of order stops nobody', async () => {
    const other = await openAccount(session, 2);
    await queue(session, account);
    await claimOne(session);
    await session.rpc.call('account_pause', { account_id: account, reason: 'account_disconnected' });
    await session.query(`update linkedin_accounts set status = 'expired' where id = $1`, [account]);
    await session.rpc.call('dm_recover');
    await queue(session, other);
    advance(LEASE_MS);
    expect(await claimOne(session)).toMatchObject({ account_id: other });
  });
});

describe('dm_release', () => {
  it('gives back what one call claimed, and nothing else', async () => {
    await openAccount(session, 2);
    await queue(session, account);
    const claimId = crypto.randomUUID();
    await claimOne(session, { claimId, worker: 'worker-1' });
    await queue(session, accountId(2));
    const other = await claimOne(session);
    expect(await session.dm.release(claimId, 'worker-2')).toBe(0);
    expect(await session.dm.release(crypto.randomUUID(), 'worker-1')).toBe(0);
    expect(await session.dm.release(claimId, 'worker-1')).toBe(1);
    expect(await session.dm.release(claimId, 'worker-1')).toBe(0);
    expect(await attemptOf(other.attempt_id)).toMatchObject({ outcome: null });
    expect((await claimOne(session)).account_id).toBe(account);
  });

  it('does not give back what was reported', async () => {
    await queue(session, account);
    const claimId = crypto.randomUUID();
    await record(await claimOne(session, { claimId }), SENT);
    expect(await session.dm.release(claimId, 'worker-1')).toBe(0);
  });
});
