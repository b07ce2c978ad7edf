/** What may have been sent: when it is looked for, and what is made of what was seen. */
import type { ClaimedMessage, DmReconcileResult } from '@revos/core/dm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { seenText } from '../../packages/core/src/unipile/same-text.ts';
import {
  act,
  after,
  at,
  claim,
  claimOne,
  DAY_MS,
  HOUR_MS,
  LEASE_MS,
  MINUTE_MS,
  openAccount,
  queue,
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

type Policy = 'resend-when-absent' | 'hold';

/** One message whose answer was lost at NOW. */
async function lost(): Promise<{ id: string; claimed: ClaimedMessage }> {
  const [id = ''] = await queue(session, account);
  const claimed = await claimOne(session);
  await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
  return { id, claimed };
}

const attemptOf = async (id: string) =>
  (await session.query('select * from dm_attempts where id = $1', [id]))[0];

/** Looks at `ms` after NOW, and records what was seen; the resolution, or null if nothing was due. */
async function look(
  ms: number,
  found: DmReconcileResult['found'],
  policy: Policy = 'resend-when-absent',
): Promise<string | null> {
  session.clock.now = after(NOW, ms);
  const { items } = await session.dm.unknowns(10);
  const [item] = items;
  if (!item) return null;
  const ids = found === 'sent' ? { unipile_message_id: 'm9', chat_id: 'c9' } : {};
  const [answer] = await session.dm.resolve([{ attempt_id: item.attempt_id, found, ...ids }], policy);
  return answer?.resolution ?? null;
}

/** Every instant, in milliseconds after NOW, at which it is looked for while `found` is seen. */
async function looksUntil(untilMs: number, found: DmReconcileResult['found']): Promise<number[]> {
  const looks: number[] = [];
  for (let n = 0; n < 200; n += 1) {
    const { next_read_at } = await session.dm.unknowns(1);
    if (next_read_at === null) return looks;
    const ms = Date.parse(next_read_at) - NOW.getTime();
    if (ms > untilMs) return looks;
    looks.push(ms);
    await look(ms, found);
  }
  throw new Error('it is looked for without an end');
}

describe('the schedule', () => {
  it('15 s, 1 min, 5 min, 30 min, 2 h, then every 2 h for a week, then a person decides', async () => {
    const { id } = await lost();
    const looks = await looksUntil(30 * DAY_MS, 'unreadable');
    expect(looks.slice(0, 6)).toEqual([
      15_000,
      MINUTE_MS,
      5 * MINUTE_MS,
      30 * MINUTE_MS,
      2 * HOUR_MS,
      4 * HOUR_MS,
    ]);
    expect(looks.at(-1)).toBe(7 * DAY_MS);
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown', reason: 'unknown_held' });
    expect(await session.dm.explain(id)).toMatchObject({ reason: 'unknown_held', next_read_at: null });
  });

  it('says in the explanation when it is next looked for', async () => {
    const { id } = await lost();
    const explained = await session.dm.explain(id);
    expect(explained?.reason).toBe('answer_lost');
    expect(new Date(explained?.next_read_at ?? 0)).toEqual(after(NOW, 15_000));
  });

  it('a look that came late skips what has passed', async () => {
    await lost();
    expect(await look(20 * MINUTE_MS, 'unreadable')).toBe('unknown');
    const { next_read_at } = await session.dm.unknowns(1);
    expect(new Date(next_read_at ?? 0)).toEqual(after(NOW, 30 * MINUTE_MS));
  });

  it('an unknown is given to one asker a minute, and again if nobody comes back', async () => {
    await lost();
    session.clock.now = after(NOW, 15_000);
    expect((await session.dm.unknowns(10)).items).toHaveLength(1);
    expect((await session.dm.unknowns(10)).items).toHaveLength(0);
    session.clock.now = after(NOW, 75_000);
    expect((await session.dm.unknowns(10)).items).toHaveLength(1);
  });

  it('an attempt whose lease ended is looked for as well', async () => {
    const [id = ''] = await queue(session, account);
    await claimOne(session);
    session.clock.now = after(NOW, LEASE_MS);
    await session.rpc.call('dm_recover');
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown' });
    expect(await look(LEASE_MS + 15_000, 'sent')).toBe('sent');
  });

  it('DM070, DM071: what cannot be asked or recorded', async () => {
    expect(await refusal(session.dm.unknowns(0))).toMatchObject({ code: 'DM070' });
    const { claimed } = await lost();
    const result = { attempt_id: claimed.attempt_id, found: 'sent' as const };
    expect(await refusal(session.dm.resolve([result], 'hold'))).toMatchObject({ code: 'DM071' });
    const elsewhere = { ...result, found: 'elsewhere' as 'absent' };
    expect(await refusal(session.dm.resolve([elsewhere], 'hold'))).toMatchObject({ code: 'DM071' });
    expect(await refusal(session.dm.resolve([], 'guess' as 'hold'))).toMatchObject({ code: 'DM071' });
  });
});

describe('found on LinkedIn', () => {
  it('is confirmed with its ids, and counts as sent', async () => {
    const { id, claimed } = await lost();
    session.clock.now = after(NOW, 15_000);
    await session.dm.unknowns(1);
    const sentAt = after(NOW, 3_000);
    const result = {
      attempt_id: claimed.attempt_id,
      found: 'sent' as const,
      unipile_message_id: 'm1',
      chat_id: 'c1',
    };
    expect(await session.dm.resolve([{ ...result, sent_at: sentAt.toISOString() }], 'hold')).toEqual([
      { attempt_id: claimed.attempt_id, resolution: 'sent' },
    ]);
    expect(await rowOf(session, id)).toMatchObject({
      status: 'sent',
      reason: null,
      unipile_message_id: 'm1',
      chat_id: 'c1',
      sent_at: sentAt,
    });
    expect(await attemptOf(claimed.attempt_id)).toMatchObject({
      outcome: 'sent',
      strike: false,
      next_read_at: null,
      effect_by: after(NOW, LEASE_MS),
    });
    // Told twice, it changes nothing.
    expect(await session.dm.resolve([result], 'hold')).toMatchObject([{ resolution: 'ignored' }]);
  });

  it.each([2 * HOUR_MS, 3 * DAY_MS])(
    'an id that an attempt of %i ms before was found under belongs to that one',
    async (apartMs) => {
      const earlier = await lost();
      // Nothing of the earlier one could be read since; then a twin is lost too, and its message is
      // taken for the earlier one's.
      session.clock.now = after(NOW, apartMs);
      const later = await lost();
      session.clock.now = after(NOW, apartMs + LEASE_MS);
      const { attempt_id } = earlier.claimed;
      expect(
        await session.dm.resolve(
          [{ attempt_id, found: 'sent', unipile_message_id: 'm9', chat_id: 'c9' }],
          'resend-when-absent',
        ),
      ).toMatchObject([{ resolution: 'sent' }]);

      const { items } = await session.dm.unknowns(10);
      expect(items).toMatchObject([{ attempt_id: later.claimed.attempt_id, known_message_ids: ['m9'] }]);
      const again = {
        attempt_id: later.claimed.attempt_id,
        found: 'sent',
        unipile_message_id: 'm9',
      } as const;
      expect(await session.dm.resolve([again], 'resend-when-absent')).toMatchObject([
        { resolution: 'unknown' },
      ]);
      expect(await rowOf(session, later.id)).toMatchObject({ status: 'unknown' });
    },
  );

  it.each([
    { whom: 'the same person', isSame: true, resolution: 'unknown' },
    { whom: 'somebody else', isSame: false, resolution: 'sent' },
  ])('while a call to $whom is on its way: $resolution', async ({ isSame, resolution }) => {
    const { claimed } = await lost();
    const recipient_id = isSame ? claimed.recipient_id : `${claimed.recipient_id}x`;
    await queue(session, account, 1, { recipient_id });
    session.clock.now = after(NOW, LEASE_MS);
    const under = await claimOne(session);
    expect(under.recipient_id).toBe(recipient_id);
    // What says the same is on LinkedIn: it may be this one's, or that one's whose answer is still to come.
    expect(await look(LEASE_MS + 1, 'sent')).toBe(resolution);
    await session.dm.record([{ attempt_id: under.attempt_id, outcome: 'sent', unipile_message_id: 'm9' }]);
    expect(await attemptOf(claimed.attempt_id)).toMatchObject({ outcome: resolution });
  });

  it('under the id of another message, is looked for again without that one', async () => {
    const { claimed } = await lost();
    session.clock.now = after(NOW, 5_000);
    const [other = ''] = await queue(session, account);
    session.clock.now = after(NOW, LEASE_MS);
    const second = await claimOne(session);
    expect(second.message_id).toBe(other);
    await session.dm.record([{ attempt_id: second.attempt_id, outcome: 'sent', unipile_message_id: 'm9' }]);
    expect(await look(LEASE_MS + 1, 'sent')).toBe('unknown');
    session.clock.now = after(NOW, HOUR_MS);
    const { items } = await session.dm.unknowns(10);
    expect(items).toMatchObject([{ attempt_id: claimed.attempt_id, known_message_ids: ['m9'] }]);
  });
});

describe('not found', () => {
  it('is believed after 30 minutes, counted from the latest instant of its effect, and sent once more', async () => {
    const { id, claimed } = await lost();
    const looks = await looksUntil(HOUR_MS, 'absent');
    expect(looks).toEqual([15_000, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, LEASE_MS + 30 * MINUTE_MS]);
    expect(await attemptOf(claimed.attempt_id)).toMatchObject({ outcome: 'not_sent', error_type: 'absent' });
    expect(await rowOf(session, id)).toMatchObject({ status: 'pending', reason: 'absent_on_linkedin' });
    const again = await claimOne(session);
    expect(again).toMatchObject({ message_id: id, known_message_ids: [] });
    expect(new Date(again.was_unknown_since ?? 0)).toEqual(NOW);
  });

  it('a second time is for a person', async () => {
    const { id } = await lost();
    await looksUntil(HOUR_MS, 'absent');
    const again = await claimOne(session);
    await session.dm.record([{ attempt_id: again.attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
    await looksUntil(3 * HOUR_MS, 'absent');
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown', reason: 'unknown_held' });
    expect((await session.dm.unknowns(10)).next_read_at).toBeNull();
  });

  it('is held at once where the policy says so, and goes on counting', async () => {
    const { id, claimed } = await lost();
    for (const ms of [15_000, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS]) {
      expect(await look(ms, 'absent', 'hold')).toBe('unknown');
    }
    expect(await look(LEASE_MS + 30 * MINUTE_MS, 'absent', 'hold')).toBe('held');
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown', reason: 'unknown_held' });
    expect(await attemptOf(claimed.attempt_id)).toMatchObject({ outcome: 'unknown' });
  });

  it('of an account out of order is no absence: the 30 minutes begin anew', async () => {
    const { id } = await lost();
    await look(15_000, 'absent');
    await look(MINUTE_MS, 'absent');
    await look(5 * MINUTE_MS, 'account_out_of_order');
    expect(await look(30 * MINUTE_MS, 'absent')).toBe('unknown');
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown' });
    expect(await look(59 * MINUTE_MS, 'absent')).toBeNull();
    expect(await look(60 * MINUTE_MS, 'absent')).toBe('waiting');
  });

  it('a look that could not read says nothing either way', async () => {
    await lost();
    await look(15_000, 'absent');
    await look(MINUTE_MS, 'unreadable');
    await look(5 * MINUTE_MS, 'unreadable');
    await look(30 * MINUTE_MS, 'unreadable');
    expect(await look(LEASE_MS + 30 * MINUTE_MS, 'absent')).toBe('waiting');
  });

  it('an answer that comes after all settles it, and it is not sent again', async () => {
    const { id, claimed } = await lost();
    await looksUntil(HOUR_MS, 'absent');
    expect(await rowOf(session, id)).toMatchObject({ status: 'pending' });
    await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent', unipile_message_id: 'm1' }]);
    expect(await rowOf(session, id)).toMatchObject({ status: 'sent', unipile_message_id: 'm1' });
    expect(await claim(session)).toEqual([]);
  });
});

describe('what was unknown once', () => {
  it('keeps its text, recipient and account while it waits to go out again: it is looked for by them', async () => {
    const { id } = await lost();
    await looksUntil(HOUR_MS, 'absent');
    expect(await rowOf(session, id)).toMatchObject({ status: 'pending' });
    for (const change of [`message = 'Other'`, `recipient_id = 'ACoAA9'`]) {
      expect(await refusal(session.query(`update dm_queue set ${change} where id = $1`, [id]))).toMatchObject(
        {
          code: 'DM010',
        },
      );
    }
    await session.query('update dm_queue set priority = 9 where id = $1', [id]);
  });

  it('found right before it would have gone out, was sent when LinkedIn shows it', async () => {
    const { id } = await lost();
    await looksUntil(HOUR_MS, 'absent');
    const again = await claimOne(session);
    await session.dm.record([
      {
        attempt_id: again.attempt_id,
        outcome: 'sent',
        sent_at: after(NOW, 3_000).toISOString(),
        unipile_message_id: 'm1',
      },
    ]);
    expect(await rowOf(session, id)).toMatchObject({ status: 'sent', sent_at: after(NOW, 3_000) });
  });
});

describe('settled by a person', () => {
  it('given up, and then its answer comes after all: it is sent', async () => {
    const { id, claimed } = await lost();
    await act(session, 'settle', [id], { decision: 'drop' });
    await session.dm.record([{ attempt_id: claimed.attempt_id, outcome: 'sent', unipile_message_id: 'm1' }]);
    expect(await rowOf(session, id)).toMatchObject({ status: 'sent', unipile_message_id: 'm1' });
  });

  it('as sent, without saying which: what is found then may be that one, and its twin is for a person', async () => {
    const { id } = await lost();
    session.clock.now = after(NOW, LEASE_MS);
    const [twin = ''] = await queue(session, account);
    const second = await claimOne(session);
    await session.dm.record([{ attempt_id: second.attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
    await act(session, 'settle', [id], { decision: 'sent' });
    expect(await look(LEASE_MS + MINUTE_MS, 'sent')).toBe('held');
    expect(await rowOf(session, twin)).toMatchObject({ status: 'unknown', reason: 'unknown_held' });
  });

  it.each([
    { name: 'a twin that a reader takes for the same', message: 'Hi\n\n\nAda\u200d', resolution: 'held' },
    { name: 'another text', message: 'HiAda', resolution: 'sent' },
  ])('as sent, without saying which: $name is $resolution', async ({ message, resolution }) => {
    const [id = ''] = await queue(session, account, 1, { message: 'Hi\nAda' });
    const first = await claimOne(session);
    await session.dm.record([{ attempt_id: first.attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
    session.clock.now = after(NOW, LEASE_MS);
    await queue(session, account, 1, { message });
    const second = await claimOne(session);
    await session.dm.record([{ attempt_id: second.attempt_id, outcome: 'unknown', reason: 'answer_lost' }]);
    await act(session, 'settle', [id], { decision: 'sent' });
    expect(await look(LEASE_MS + MINUTE_MS, 'sent')).toBe(resolution);
  });

  it.each([
    { decision: 'sent', status: 'sent', reason: null, outcome: 'sent' },
    { decision: 'resend', status: 'pending', reason: 'absent_on_linkedin', outcome: 'not_sent' },
    { decision: 'drop', status: 'cancelled', reason: 'dropped', outcome: 'unknown' },
  ])('$decision → $status', async ({ decision, status, reason, outcome }) => {
    const { id, claimed } = await lost();
    session.clock.now = after(NOW, LEASE_MS);
    expect(await act(session, 'settle', [id], { decision, reason: 'looked' })).toMatchObject({ changed: 1 });
    expect(await rowOf(session, id)).toMatchObject({ status, reason });
    expect(await attemptOf(claimed.attempt_id)).toMatchObject({ outcome, next_read_at: null });
    // A look that was under way comes too late.
    const late = { attempt_id: claimed.attempt_id, found: 'sent' as const, unipile_message_id: 'm1' };
    expect(await session.dm.resolve([late], 'hold')).toMatchObject([{ resolution: 'ignored' }]);
    expect(await rowOf(session, id)).toMatchObject({ status });
    const { items } = await session.rpc.call<{ items: object[] }>('audit_list', { filter: { subject: id } });
    expect(items).toMatchObject([{ actor: 'ada', action: 'message.settle' }]);
  });

  const resend = (id: string, looked_at?: Date) =>
    act(session, 'settle', [id], { decision: 'resend', ...(looked_at === undefined ? {} : { looked_at }) });
  const refusedUntil = (id: string, overAt: Date) => ({
    changed: 0,
    refused: [
      {
        id,
        status: 'unknown',
        problem: `it may have reached LinkedIn until ${overAt.toISOString().replace('.000', '')}, after somebody looked: look again`,
      },
    ],
  });

  it('as to be sent again, by a look at the end of its call, and by none before', async () => {
    const { id } = await lost();
    const overAt = after(NOW, LEASE_MS);
    session.clock.now = after(overAt, -1);
    expect(await resend(id)).toMatchObject(refusedUntil(id, overAt));
    // A time to come is no look yet.
    expect(await resend(id, after(overAt, MINUTE_MS))).toMatchObject(refusedUntil(id, overAt));
    session.clock.now = after(overAt, MINUTE_MS);
    expect(await resend(id, after(overAt, -1))).toMatchObject(refusedUntil(id, overAt));
    expect(await rowOf(session, id)).toMatchObject({ status: 'unknown' });
    expect(await resend(id, overAt)).toMatchObject({ changed: 1 });
    expect(await rowOf(session, id)).toMatchObject({ status: 'pending' });
  });

  it('as to be sent again: what was seen of the first try says nothing about the second', async () => {
    const { id } = await lost();
    const lookedAt = after(NOW, LEASE_MS);
    session.clock.now = lookedAt;
    expect(await resend(id)).toMatchObject({ changed: 1 });
    const again = await claimOne(session);
    await session.dm.record([{ attempt_id: again.attempt_id, outcome: 'unknown' }]);
    session.clock.now = after(lookedAt, DAY_MS);
    expect(await resend(id, lookedAt)).toMatchObject(refusedUntil(id, after(lookedAt, LEASE_MS)));
    expect(await resend(id)).toMatchObject({ changed: 1 });
  });

  it('what is held can be settled, and what was settled cannot be again', async () => {
    const { id } = await lost();
    for (const ms of [15_000, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, LEASE_MS + 30 * MINUTE_MS]) {
      await look(ms, 'absent', 'hold');
    }
    expect(await act(session, 'settle', [id], { decision: 'resend' })).toMatchObject({ changed: 1 });
    expect(await act(session, 'settle', [id], { decision: 'sent' })).toMatchObject({
      changed: 0,
      refused: [{ id, status: 'pending', problem: 'only what is unknown can be, and it is pending' }],
    });
    expect(await claimOne(session)).toMatchObject({ message_id: id });
  });
});

describe('text_seen', () => {
  /**
   * Every code point that may be no letter, and its neighbours: in words, at line ends, and beside
   * a flag.
   */
  const RANGES = [
    [0x1, 0x180],
    [0x300, 0x400],
    [0x600, 0x620],
    [0x1100, 0x1200],
    [0x1680, 0x1690],
    [0x1780, 0x1820],
    [0x2000, 0x2100],
    [0x2800, 0x2802],
    [0x2ff0, 0x3010],
    [0x3160, 0x3170],
    [0xfe00, 0xfe20],
    [0xfef0, 0x10000],
    [0x1bc90, 0x1bcb0],
    [0x1d160, 0x1d180],
    [0x1f3f0, 0x1f400],
    [0xe0000, 0xe0200],
    [0xe0ff0, 0xe1010],
  ] as const;

  it('says of every character what the look at LinkedIn says of it', async () => {
    const texts = RANGES.flatMap(([from, to]) =>
      Array.from({ length: to - from }, (_, index) => String.fromCodePoint(from + index)),
    ).map(
      (character) => `${character}a${character}b ${character} c\n${character}\nd🏴${character}e${character}`,
    );
    const rows = await session.query(
      'select public.text_seen(text) as seen from unnest($1::text[]) with ordinality as given (text, at) order by at',
      [texts],
    );
    expect(rows.map(({ seen }) => seen)).toEqual(texts.map(seenText));
    const flag = '🏴\u{e0067}\u{e0062}\u{e0065}\u{e007f} \r\n\t\u{e0041}x';
    const [row] = await session.query('select public.text_seen($1) as seen', [flag]);
    expect(row?.seen).toBe(seenText(flag));
  });
});
