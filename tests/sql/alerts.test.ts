/** Alerts in the database: what begins and ends an incident, who tells of it, and how often. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { after, at, MINUTE_MS, refusal } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';

const SECOND_MS = 1_000;
const NOW = at('2026-03-02T10:00:00Z');
let session: Session;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  session.clock.now = NOW;
  await session.reset();
});

interface Told {
  readonly id: string;
  readonly code: string;
  readonly subjects: readonly string[];
  readonly open_subjects: readonly string[];
  readonly ended_at: string | null;
  readonly deliveries: readonly Record<string, unknown>[];
}
interface Claimed {
  readonly event: string;
  readonly channel: string;
  readonly attempt: number;
  readonly alert: Told;
}

const CODES = ['slot_missed', 'posts_missed'];
const found = (code: string, ...subjects: string[]) => ({
  ...{ code, state: 'late', subjects, is_partial: false },
  ...{ sentence: 'Something is late.', why: null, what_to_do: 'Look.', since: NOW.toISOString() },
});
const observe = (list: readonly object[], { looked_at = CODES } = {}) =>
  session.rpc.call<{ opened: Told[]; ended: Told[] }>('alerts_observe', { found: list, looked_at });
const claim = (channels = ['webhook']) => session.rpc.call<Claimed[]>('alerts_claim', { channels });
const record = (
  { alert, event, channel, attempt }: Claimed,
  error: string | null = null,
  retry_after_s: number | null = null,
) =>
  session.rpc.call<{ status: string }>('alerts_record', {
    ...{ incident_id: alert.id, event, channel, attempt, error, retry_after_s },
  });
const list = (filter: object = {}, more: object = {}) =>
  session.rpc.call<{ items: Told[]; next_cursor: string | null }>('alert_list', { filter, ...more });
const advance = (ms: number): void => {
  session.clock.now = after(session.clock.now, ms);
};
const opened = async (...given: Parameters<typeof observe>) => (await observe(...given)).opened;
const ended = async (...given: Parameters<typeof observe>) => (await observe(...given)).ended;
const subjectsOf = (alerts: readonly Told[]) => alerts.map(({ subjects }) => subjects);

describe('an incident', () => {
  it('begins once, however often it is found', async () => {
    expect(subjectsOf(await opened([found('slot_missed', 'dm-queue')]))).toEqual([['dm-queue']]);
    for (const ms of [0, SECOND_MS, 20 * MINUTE_MS]) {
      advance(ms);
      expect(await observe([found('slot_missed', 'dm-queue')])).toEqual({ opened: [], ended: [] });
    }
    expect((await list()).items).toHaveLength(1);
  });

  it('ends when it was not found for two minutes, and once', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    advance(2 * MINUTE_MS - 1);
    expect(await ended([])).toEqual([]);
    advance(1);
    expect(await ended([])).toMatchObject([{ code: 'slot_missed', ended_at: expect.any(String) }]);
    expect(await ended([])).toEqual([]);
  });

  it('goes on where it was away for a moment', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    advance(MINUTE_MS);
    await observe([]);
    advance(MINUTE_MS / 2);
    expect(await observe([found('slot_missed', 'dm-queue')])).toEqual({ opened: [], ended: [] });
    advance(2 * MINUTE_MS - 1);
    expect(await ended([])).toEqual([]);
  });

  it('is left as it is where it was not looked for', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    advance(30 * MINUTE_MS);
    expect(await observe([], { looked_at: ['posts_missed'] })).toEqual({ opened: [], ended: [] });
    expect(await opened([found('slot_missed', 'x')], { looked_at: ['posts_missed'] })).toEqual([]);
    expect((await list({ open: true })).items).toHaveLength(1);
  });

  it('of what comes later is one of its own, and of ten minutes one', async () => {
    await observe([found('posts_missed', 'a')]);
    advance(10 * MINUTE_MS - 1);
    expect(await opened([found('posts_missed', 'b', 'a')])).toEqual([]);
    advance(1);
    expect(subjectsOf(await opened([found('posts_missed', 'c', 'b', 'a')]))).toEqual([['c', 'b']]);
    // The other codes wait for none of this.
    expect(
      subjectsOf(await opened([found('posts_missed', 'a', 'b', 'c'), found('slot_missed', 'x')])),
    ).toEqual([['x']]);
  });

  it('ends by itself, whatever else of its code lasts', async () => {
    const [first] = await opened([found('posts_missed', 'a')]);
    advance(10 * MINUTE_MS);
    await observe([found('posts_missed', 'a', 'b')]);
    advance(2 * MINUTE_MS);
    expect((await ended([found('posts_missed', 'b')])).map(({ id }) => id)).toEqual([first?.id]);
  });

  it('begins anew with a subject that was gone and comes again', async () => {
    await observe([found('posts_missed', 'a', 'b')]);
    advance(10 * MINUTE_MS);
    await observe([found('posts_missed', 'a')]);
    expect((await list()).items[0]?.open_subjects).toEqual(['a']);
    expect(subjectsOf(await opened([found('posts_missed', 'a', 'b')]))).toEqual([['b']]);
  });

  it('loses no subject that a partial list does not name', async () => {
    await observe([found('posts_missed', 'a')]);
    advance(10 * MINUTE_MS);
    expect(await ended([{ ...found('posts_missed', 'b'), is_partial: true }])).toEqual([]);
    expect((await list({ subject: 'a' })).items[0]).toMatchObject({ open_subjects: ['a'], ended_at: null });
  });

  it('is kept for 90 days after its end', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    advance(2 * MINUTE_MS);
    await observe([]);
    advance(90 * 24 * 60 * MINUTE_MS - 1);
    await observe([]);
    expect((await list()).items).toHaveLength(1);
    advance(1);
    await observe([]);
    expect((await list()).items).toHaveLength(0);
  });
});

describe('alerts_observe', () => {
  it.each([{ p: {} }, { p: null }, { p: Array(51).fill({}) }])(
    'refuses what is no list of findings',
    async ({ p }) => {
      expect(await refusal(session.rpc.call('alerts_observe', { found: p, looked_at: [] }))).toMatchObject({
        code: 'SE005',
      });
    },
  );
});

describe('telling', () => {
  it('is once for each channel, at the beginning and at the end', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    const begun = await claim(['webhook', 'slack', 'webhook']);
    expect(begun.map(({ event, channel, attempt }) => [event, channel, attempt])).toEqual([
      ['opened', 'slack', 1],
      ['opened', 'webhook', 1],
    ]);
    expect(await claim(['webhook', 'slack'])).toEqual([]);
    for (const each of begun) expect(await record(each)).toEqual({ status: 'delivered' });
    advance(2 * MINUTE_MS);
    await observe([]);
    const over = await claim(['webhook', 'slack']);
    expect(over.map(({ event, channel }) => [event, channel])).toEqual([
      ['ended', 'slack'],
      ['ended', 'webhook'],
    ]);
    for (const each of over) await record(each);
    advance(60 * MINUTE_MS);
    expect(await claim(['webhook', 'slack', 'sentry'])).toEqual([]);
    expect((await list()).items[0]?.deliveries).toMatchObject([
      { event: 'opened', channel: 'slack', status: 'delivered', attempts: 1 },
      { event: 'opened', channel: 'webhook', status: 'delivered', attempts: 1 },
      { event: 'ended', channel: 'slack', status: 'delivered', attempts: 1 },
      { event: 'ended', channel: 'webhook', status: 'delivered', attempts: 1 },
    ]);
  });

  it('is for whoever has a channel, also of what others observed', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    expect(await claim([])).toEqual([]);
    expect(await claim(['webhook'])).toMatchObject([{ event: 'opened', channel: 'webhook' }]);
    advance(MINUTE_MS);
    expect(await claim(['slack'])).toMatchObject([{ event: 'opened', channel: 'slack' }]);
  });

  it('of an end is through the channels of its beginning alone', async () => {
    const [begun] = await opened([found('slot_missed', 'dm-queue')]);
    await record((await claim(['webhook']))[0] as Claimed);
    advance(2 * MINUTE_MS);
    await observe([]);
    advance(60 * MINUTE_MS);
    expect(await claim(['slack', 'webhook'])).toMatchObject([{ event: 'ended', channel: 'webhook' }]);
    expect(begun?.deliveries).toEqual([]);
  });

  it('is of both, for an hour, where it was over before anybody with a channel came', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    advance(2 * MINUTE_MS);
    await observe([]);
    advance(60 * MINUTE_MS - 1);
    await record((await claim(['slack']))[0] as Claimed);
    expect(await claim(['slack'])).toMatchObject([{ event: 'ended', channel: 'slack' }]);
    advance(1);
    expect(await claim(['webhook'])).toEqual([]);
  });

  it('of an end is made up for where the incident ended while its channel was taken up', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    await record((await claim())[0] as Claimed);
    advance(2 * MINUTE_MS);
    await observe([]);
    // As it is left by one who ends it before another's claim is there to be seen.
    await session.query(`delete from alert_deliveries where event = 'ended'`, []);
    expect(await claim()).toMatchObject([{ event: 'ended', channel: 'webhook', is_given_up: false }]);
  });

  it('is given up where twelve who claimed it said nothing of what became of it', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      expect(await claim()).toMatchObject([{ attempt }]);
      advance(MINUTE_MS);
    }
    expect(await claim()).toMatchObject([{ attempt: 12, is_given_up: true, channel: 'webhook' }]);
    expect(await claim()).toEqual([]);
    expect((await list()).items[0]?.deliveries).toMatchObject([{ status: 'given_up', attempts: 12 }]);
  });

  it('is taken over after a minute from a process that went away, and its late answer still counts', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    const [first] = await claim();
    advance(MINUTE_MS - 1);
    expect(await claim()).toEqual([]);
    advance(1);
    expect(await claim()).toMatchObject([{ attempt: 2 }]);
    // A failure of the one that was taken over says nothing of the other.
    expect(await record(first as Claimed, 'HTTP 500')).toEqual({ status: 'waiting' });
    expect((await list()).items[0]?.deliveries).toMatchObject([{ error: null }]);
    expect(await record(first as Claimed)).toEqual({ status: 'delivered' });
    advance(MINUTE_MS);
    expect(await claim()).toEqual([]);
  });

  it('is tried again ever later, and given up after the twelfth failure', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      const [claimed] = await claim();
      expect(claimed?.attempt).toBe(attempt);
      const { status } = await record(claimed as Claimed, 'HTTP 500');
      expect(status).toBe(attempt === 12 ? 'given_up' : 'waiting');
      if (attempt === 12) break;
      const wait = Math.min(10 * 2 ** (attempt - 1), 3_600) * SECOND_MS;
      advance(wait - 1);
      expect(await claim()).toEqual([]);
      advance(1);
      waits.push(wait);
    }
    expect(waits.at(-1)).toBe(3_600 * SECOND_MS);
    advance(24 * 60 * MINUTE_MS);
    expect(await claim()).toEqual([]);
    expect((await list()).items[0]?.deliveries).toMatchObject([{ status: 'given_up', error: 'HTTP 500' }]);
  });

  it('waits for as long as the receiver asks, a day at most', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    await record((await claim())[0] as Claimed, 'HTTP 429', 120);
    advance(120 * SECOND_MS - 1);
    expect(await claim()).toEqual([]);
    advance(1);
    await record((await claim())[0] as Claimed, 'HTTP 429', 900_000);
    advance(24 * 60 * MINUTE_MS);
    expect(await claim()).toHaveLength(1);
  });

  it('of an end comes after that of its beginning, and without it where that was given up', async () => {
    await observe([found('slot_missed', 'dm-queue')]);
    await record((await claim())[0] as Claimed, 'HTTP 500');
    advance(2 * MINUTE_MS);
    await observe([]);
    const [again, ...others] = await claim();
    expect([again?.event, others]).toEqual(['opened', []]);
    await session.query(`update alert_deliveries set attempts = 12 where event = 'opened'`, []);
    await record({ ...(again as Claimed), attempt: 12 }, 'HTTP 500');
    expect(await claim()).toMatchObject([{ event: 'ended' }]);
  });
});

describe('alert_list', () => {
  it('has the latest first, page by page, by its filters', async () => {
    for (const code of CODES) {
      await observe([found(code, code)], { looked_at: [code] });
      advance(MINUTE_MS);
    }
    advance(2 * MINUTE_MS);
    await observe([found('slot_missed', 'slot_missed')]);
    const codes = async (filter: object) => (await list(filter)).items.map(({ code }) => code);
    expect(await codes({})).toEqual(['posts_missed', 'slot_missed']);
    expect(await codes({ open: true })).toEqual(['slot_missed']);
    expect(await codes({ open: false })).toEqual(['posts_missed']);
    expect(await codes({ code: ['slot_missed'], state: ['late'], subject: 'slot_missed' })).toEqual([
      'slot_missed',
    ]);
    expect(await codes({ from: after(NOW, MINUTE_MS).toISOString() })).toEqual(['posts_missed']);
    expect(await codes({ to: after(NOW, MINUTE_MS).toISOString() })).toEqual(['slot_missed']);
    const first = await list({}, { limit: 1 });
    const second = await list({}, { limit: 1, after: first.next_cursor });
    expect([first, second].map(({ items }) => items[0]?.code)).toEqual(['posts_missed', 'slot_missed']);
    expect(second.next_cursor).toBeNull();
    expect(await refusal(list({ colour: 'red' }))).toMatchObject({ code: 'SE001' });
  });
});
