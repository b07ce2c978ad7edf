/**
 * The plan of a simulation: what there is, and what may go wrong. A seed draws all of it.
 *
 * Swarm style: each seed first switches some faults off, since faults that always come together hide
 * each other, and then draws how often each of the others strikes.
 */

import { planWorld, type WorldPlan } from '../property/world.ts';
import { accountId, DAY_MS, HOUR_MS, MINUTE_MS, type PolicyFields } from '../support/builders.ts';
import { createRandom, type Random } from '../support/random.ts';

/** How often each fault strikes where it can, at most. Its kind says where that is. */
const RATES_MAX = {
  /** A call to the database: lost on its way there, on its way back, or carried out after it was given up. */
  'call lost': 0.06,
  'answer of the database lost': 0.06,
  'call carried out late': 0.04,
  /** An hour of a day: the database is away for some of it. */
  'database away': 0.03,
  /** A write to Unipile. */
  'connection refused': 0.1,
  'request lost': 0.1,
  'request slow': 0.15,
  /** Unipile works on. */
  'connection lost': 0.15,
  'answer lost': 0.2,
  'answer cut': 0.1,
  'answer unreadable': 0.1,
  'answer without ids': 0.1,
  'answer with bad ids': 0.1,
  'answer a page': 0.1,
  'answer a redirect': 0.1,
  'no answer, sent': 0.1,
  'no answer, not sent': 0.1,
  'error though sent': 0.1,
  'error, not sent': 0.1,
  throttled: 0.1,
  'recipient refused': 0.1,
  'recipient not connected': 0.06,
  'recipient later': 0.06,
  'chat gone': 0.1,
  'chat not usable': 0.1,
  'gateway refuses': 0.1,
  'account gone': 0.03,
  'account signed out': 0.03,
  'account restricted': 0.02,
  'key refused': 0.01,
  'shown late': 0.5,
  /** A read of Unipile's. */
  'read failed': 0.3,
  'read hangs': 0.1,
  /** A step of a process. */
  crash: 0.01,
  freeze: 0.006,
  /** An hour of a day. */
  deploy: 0.08,
  'clock set': 0.08,
  'account disconnected': 0.06,
  /** A trigger. */
  'trigger lost': 0.3,
  'trigger late': 0.4,
  'trigger twice': 0.5,
  /** An hour of a day: what people do. */
  'run by hand': 0.1,
  'run cancelled': 0.06,
  'message cancelled': 0.1,
  'message retried': 0.15,
  'message rescheduled': 0.1,
  'unknown settled': 0.15,
  'account paused': 0.08,
  'all paused': 0.03,
  'policy edited': 0.1,
  'post acted on': 0.1,
  'post edited': 0.06,
  'queued twice': 0.15,
} as const;

export type FaultName = keyof typeof RATES_MAX;
export const FAULTS = Object.keys(RATES_MAX) as readonly FaultName[];
export type Faults = Readonly<Record<FaultName, number>>;

export interface PlannedMessage {
  readonly text: string;
  readonly recipient: string;
  /** The recipient has written, and this goes into that chat. */
  readonly isReply: boolean;
  readonly queuedAtMs: number;
  readonly sendAtMs: number | null;
  readonly priority: number;
}

export interface PlannedPost {
  readonly text: string;
  readonly scheduledForMs: number;
}

export interface PlannedAccount {
  readonly id: string;
  readonly unipileId: string;
  readonly policy: PolicyFields;
  readonly messages: readonly PlannedMessage[];
  readonly posts: readonly PlannedPost[];
}

export interface Plan {
  readonly seed: number;
  readonly startMs: number;
  /** When faults stop. */
  readonly calmFromMs: number;
  readonly accounts: readonly PlannedAccount[];
  readonly machines: number;
  readonly sendConcurrency: number;
  readonly unknownPolicy: 'resend-when-absent' | 'hold';
  /** Triggers of each job in a day. */
  readonly triggersPerDay: number;
  /** The longest that a call to the database takes in each direction, and a call to Unipile, in milliseconds. */
  readonly databaseMsMax: number;
  readonly unipileMsMax: number;
  /** What the timers of a busy machine are late by, in milliseconds. */
  readonly timersLateMsMax: number;
  readonly faults: Faults;
}

/** Of the simulations, those in which rows are claimed ahead of their slots: elsewhere a claim is mostly of one. */
const RUSH_SHARE = 0.15;

/** Shared by every message, so that a log can be searched for it. */
export const TEXT_MARK = 'Simulated text';

/** @param bearing faults that must strike, often, while most others stay away; by default any may */
export function planSimulation(
  seed: number,
  zones: readonly string[],
  bearing: readonly FaultName[] | null = null,
): Plan {
  const random = createRandom(seed);
  const world = planWorld(random, zones);
  const isRush = random.chance(RUSH_SHARE);
  const days = isRush ? 2 : random.pick([2, 3, 3, 4, 5, 8, 15]);
  const calmFromMs = world.startMs + days * DAY_MS;
  const faults = bearing === null ? drawFaults(random) : faultsOf(bearing);
  return {
    seed,
    startMs: world.startMs,
    calmFromMs,
    accounts: isRush ? planRush(random, world) : planAccounts(random, world, calmFromMs),
    machines: random.integer(1, 3),
    sendConcurrency: isRush ? 10 : random.pick([1, 2, 10]),
    databaseMsMax: isRush ? 300 : 30,
    unipileMsMax: isRush ? 500 : random.pick([500, 5_000, 20_000]),
    unknownPolicy: random.chance(0.75) ? 'resend-when-absent' : 'hold',
    triggersPerDay: Math.max(3, Math.round(random.integer(24, 40) / days)),
    timersLateMsMax: random.pick([5_000, 30_000, 50_000, 50_000]),
    faults,
  };
}

function drawFaults(random: Random): Faults {
  const share = random.pick([0.25, 0.5, 0.5, 0.8]);
  return Object.fromEntries(
    FAULTS.map((name) => [name, random.chance(share) ? RATES_MAX[name] * random.next() : 0]),
  ) as Faults;
}

/** Those named at twice their highest rate, and no other. */
function faultsOf(names: readonly FaultName[]): Faults {
  return Object.fromEntries(
    FAULTS.map((name) => [name, names.includes(name) ? Math.min(RATES_MAX[name] * 2, 0.9) : 0]),
  ) as Faults;
}

function planAccounts(random: Random, world: WorldPlan, endMs: number): PlannedAccount[] {
  return world.accounts.map(({ id, policy }, index) => {
    const name = `a${index + 1}`;
    return {
      id,
      unipileId: `unipile-${name}`,
      policy: { ...policy, gap_min_s: policy.gap_min_s * 5, gap_max_s: policy.gap_max_s * 5 },
      messages: planMessages(random, name, world.startMs, endMs),
      posts: planPosts(random, name, world.startMs, endMs),
    };
  });
}

/** More accounts than slots, at any hour and without gaps, and all that they have to send is due at once. */
function planRush(random: Random, { startMs, accounts: [first] }: WorldPlan): PlannedAccount[] {
  if (first === undefined) throw new Error('a world without accounts');
  const always = {
    window_start: '00:00',
    window_end: '24:00',
    work_days: [1, 2, 3, 4, 5, 6, 7],
    holidays: [],
  };
  const limits = { dms_per_24h: 50, dms_per_7d: 350, gap_min_s: 0, gap_max_s: 0, warm_up_from: null };
  return Array.from({ length: random.integer(18, 24) }, (_, index) => {
    const name = `a${index + 1}`;
    return {
      id: accountId(index + 1),
      unipileId: `unipile-${name}`,
      policy: { ...first.policy, ...always, ...limits, dms_per_day: random.integer(2, 5) },
      messages: Array.from({ length: random.integer(2, 5) }, (__, nth) => ({
        text: `${TEXT_MARK} ${name}-${nth}`,
        recipient: `ACoAA${name}r${nth}`,
        isReply: false,
        queuedAtMs: startMs,
        sendAtMs: null,
        priority: random.chance(0.2) ? random.integer(1, 9) : 0,
      })),
      posts: [],
    };
  });
}

function planMessages(random: Random, account: string, startMs: number, endMs: number): PlannedMessage[] {
  const count = random.pick([0, 4, 8, 14, 20]);
  const early = random.chance(0.5);
  return Array.from({ length: count }, (_, index) => {
    const queuedAtMs = early ? startMs : startMs + random.next() * (endMs - startMs) * 0.8;
    // Now and then two messages are alike, to one person: each of them goes out.
    const twin = index % 5 === 4 && random.chance(0.5);
    const name = twin ? index - 1 : index;
    return {
      text: `${TEXT_MARK} ${account}-${name}`,
      recipient: `ACoAA${account}r${twin ? name % 4 : index % 4}`,
      isReply: random.chance(0.3),
      queuedAtMs,
      sendAtMs: random.chance(0.3) ? queuedAtMs + random.next() * 12 * HOUR_MS : null,
      priority: random.chance(0.2) ? random.integer(1, 9) : 0,
    };
  });
}

function planPosts(random: Random, account: string, startMs: number, endMs: number): PlannedPost[] {
  return Array.from({ length: random.pick([0, 0, 1, 3]) }, (_, index) => ({
    text: `${TEXT_MARK} of a post ${account}-${index}`,
    scheduledForMs: startMs + 10 * MINUTE_MS + random.next() * (endMs - startMs) * 0.8,
  }));
}
