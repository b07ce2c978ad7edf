/** The judge, on made-up evidence: it finds each violated invariant, and none where all hold. */
import { describe, expect, it } from 'vitest';
import { type Evidence, isClean, judge, type Row, type Verdict, type Visible } from './judge.ts';

const NOON = Date.parse('2026-03-02T12:00:00Z');
const HOUR_MS = 3_600_000;

const row = (over: Partial<Row> = {}): Row => ({
  kind: 'message',
  account: 'ann',
  text: 'Hello',
  state: 'sent',
  reason: null,
  ...over,
});
const visible = (over: Partial<Visible> = {}): Visible => ({
  kind: 'message',
  account: 'ann',
  text: 'Hello',
  atMs: NOON,
  ...over,
});
const limits = { timeZone: 'UTC', dmsPerDay: 2, dmsPer24h: 3, dmsPer7d: 4 };

function verdictOn(over: Partial<Evidence>): Verdict {
  return judge({
    rows: [row()],
    visible: [visible()],
    limits: new Map([['ann', limits]]),
    inFlightMax: new Map([['ann', 1]]),
    runsBySlot: new Map([['dm-queue at noon', new Set(['run-1'])]]),
    leftovers: [],
    crashes: [],
    ...over,
  });
}

/** How many violations of each kind; none where it is not named. */
function countsOn(over: Partial<Evidence>): Record<string, number> {
  const counts = Object.entries(verdictOn(over)).map(([kind, found]) => [kind, found.length] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** Messages of Ann at these instants, each sent once. */
function sentAt(...instants: readonly number[]): Pick<Evidence, 'rows' | 'visible'> {
  return {
    rows: instants.map((_, index) => row({ text: `Hello ${index}` })),
    visible: instants.map((atMs, index) => visible({ text: `Hello ${index}`, atMs })),
  };
}

describe('judge', () => {
  it('finds nothing where every invariant held', () => {
    expect(isClean(verdictOn({}))).toBe(true);
    expect(isClean(verdictOn({ inFlightMax: new Map([['ann', 2]]) }))).toBe(false);
  });

  it.each<{ what: string; evidence: Partial<Evidence>; counts: Record<string, number> }>([
    {
      what: 'visible three times: two too many',
      evidence: {
        visible: [visible(), visible(), visible()],
        limits: new Map([['ann', { ...limits, dmsPerDay: 9, dmsPer24h: 9, dmsPer7d: 9 }]]),
      },
      counts: { duplicates: 2 },
    },
    {
      what: 'the same text of two accounts, or as a message and a post, is no duplicate',
      evidence: {
        rows: [row(), row({ account: 'ben' }), row({ kind: 'post' })],
        visible: [visible(), visible({ account: 'ben' }), visible({ kind: 'post' })],
        limits: new Map([
          ['ann', limits],
          ['ben', limits],
        ]),
      },
      counts: {},
    },
    { what: 'said to be sent, and not visible', evidence: { visible: [] }, counts: { lost: 1 } },
    {
      what: 'queued, and gone',
      evidence: { rows: [row({ state: 'missing' })], visible: [] },
      counts: { lost: 1 },
    },
    {
      what: 'gone, and visible',
      evidence: { rows: [row({ state: 'missing' })] },
      counts: { lost: 1, denied: 1 },
    },
    { what: 'visible, and never queued', evidence: { rows: [] }, counts: { denied: 1 } },
    { what: 'failed', evidence: { rows: [row({ state: 'failed' })], visible: [] }, counts: {} },
    { what: 'failed, and visible', evidence: { rows: [row({ state: 'failed' })] }, counts: { denied: 1 } },
    { what: 'held', evidence: { rows: [row({ state: 'held' })], visible: [] }, counts: {} },
    { what: 'held, and visible', evidence: { rows: [row({ state: 'held' })] }, counts: { denied: 1 } },
    {
      what: 'waiting for a limit',
      evidence: { rows: [row({ state: 'waiting', reason: 'rolling_24h_limit' })], visible: [] },
      counts: {},
    },
    {
      what: 'waiting for a limit, and visible: it would go out again',
      evidence: { rows: [row({ state: 'waiting', reason: 'day_limit' })] },
      counts: { denied: 1 },
    },
    {
      what: 'waiting for nothing',
      evidence: { rows: [row({ state: 'waiting', reason: 'ready' })], visible: [] },
      counts: { stuck: 1 },
    },
    {
      what: 'a post that waits: it has no limit to wait for',
      evidence: { rows: [row({ kind: 'post', state: 'waiting', reason: 'day_limit' })], visible: [] },
      counts: { stuck: 1 },
    },
    { what: 'still under way', evidence: { rows: [row({ state: 'under-way' })] }, counts: { stuck: 1 } },
    { what: 'an attempt left open', evidence: { leftovers: ['open attempt'] }, counts: { stuck: 1 } },
    {
      what: 'two calls at once',
      evidence: { inFlightMax: new Map([['ann', 2]]) },
      counts: { concurrent: 1 },
    },
    {
      what: 'a slot with two runs',
      evidence: { runsBySlot: new Map([['dm-queue at noon', new Set(['run-1', 'run-2'])]]) },
      counts: { doubleRuns: 1 },
    },
    { what: 'a process that ended by itself', evidence: { crashes: ['1 ended'] }, counts: { crashes: 1 } },
  ])('$what', ({ evidence, counts }) => {
    expect(countsOn(evidence)).toEqual(counts);
  });

  const day = 24 * HOUR_MS;
  it.each<{ what: string; instants: readonly number[]; zone?: string; over: number }>([
    { what: 'the limit of a day, exactly', instants: [NOON, NOON + 1], over: 0 },
    { what: 'one more in a day', instants: [NOON, NOON + 1, NOON + 2], over: 1 },
    { what: 'a midnight between them', instants: [NOON, NOON + 1, NOON + 12 * HOUR_MS], over: 0 },
    {
      what: 'the midnight of another zone between them',
      instants: [NOON, NOON + 1, NOON + 11 * HOUR_MS],
      zone: 'Etc/GMT-1',
      over: 0,
    },
    {
      what: 'four within 24 hours of two days',
      instants: [NOON, NOON + 1, NOON + day - 2, NOON + day - 1],
      over: 1,
    },
    {
      what: 'the first exactly 24 hours before the fourth',
      instants: [NOON, NOON + 1, NOON + day - 2, NOON + day],
      over: 0,
    },
    { what: 'five within seven days', instants: [0, 1, 2, 3, 4].map((n) => NOON + n * 1.5 * day), over: 1 },
    {
      what: 'the first exactly seven days before the fifth',
      instants: [0, 2, 3, 4, 7].map((n) => NOON + n * day),
      over: 0,
    },
  ])('$what', ({ instants, zone, over }) => {
    const evidence = {
      ...sentAt(...instants),
      limits: new Map([['ann', { ...limits, timeZone: zone ?? 'UTC' }]]),
    };
    expect(countsOn(evidence)).toEqual(over === 0 ? {} : { overLimit: over });
  });

  it('posts have no limit', () => {
    const texts = ['A', 'B', 'C', 'D', 'E'];
    const evidence = {
      rows: texts.map((text) => row({ kind: 'post', text })),
      visible: texts.map((text) => visible({ kind: 'post', text })),
    };
    expect(countsOn(evidence)).toEqual({});
  });

  it('an account that nobody made has no limits to keep', () => {
    expect(countsOn({ limits: new Map() })).toEqual({ overLimit: 1 });
  });
});
