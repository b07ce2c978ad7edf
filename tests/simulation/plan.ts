/**
 * The plan of a simulation: accounts, messages, posts and fault rates, all drawn from a seed.
 *
 * Swarm testing: each seed first switches some faults off, since faults that always come together
 * hide each other, and then draws how often each of the others is injected.
 */

import { planWorld, type WorldPlan } from '../property/world.ts';
import { accountId, DAY_MS, HOUR_MS, MINUTE_MS, type PolicyFields } from '../support/builders.ts';
import { createRandom, type Random } from '../support/random.ts';

/** The highest probability of each fault on each occasion, which the comments name. */
const RATES_MAX = {
  /**
   * A call to the database: lost on its way there, on its way back, or executed after its sender
   * gave up.
   */
  'database call lost': 0.06,
  'database answer lost': 0.06,
  'database call delayed': 0.04,
  /** An hour: the database is down for some of it. */
  'database down': 0.03,
  /** A write to Unipile: on its way there. */
  'connection refused': 0.1,
  'request lost': 0.1,
  'request delayed': 0.15,
  /** A write to Unipile: while it is executed, which goes on, and in its answer. */
  'connection lost': 0.15,
  'answer lost': 0.2,
  'answer cut': 0.1,
  'answer unreadable': 0.1,
  'answer without ids': 0.1,
  'answer with bad ids': 0.1,
  'answer is HTML': 0.1,
  'answer is a redirect': 0.1,
  'no answer, sent': 0.1,
  'no answer, not sent': 0.1,
  'error, sent': 0.1,
  'error, not sent': 0.1,
  throttled: 0.1,
  'recipient refused': 0.1,
  'recipient not connected': 0.06,
  'recipient deferred': 0.06,
  'chat not found': 0.1,
  'chat unusable': 0.1,
  'gateway refuses': 0.1,
  'account not found': 0.03,
  'account signed out': 0.03,
  'account restricted': 0.02,
  'API key refused': 0.01,
  'visible late': 0.5,
  /** A read from Unipile. */
  'read failed': 0.3,
  'read hangs': 0.1,
  /** A step of a machine. */
  crash: 0.01,
  freeze: 0.006,
  /** An hour. */
  deploy: 0.08,
  'clock jump': 0.08,
  'account disconnected': 0.06,
  /** A trigger. */
  'trigger lost': 0.3,
  'trigger delayed': 0.4,
  'trigger duplicated': 0.5,
  /** An hour: what people do, drawn like a fault. */
  'manual run': 0.1,
  'run cancelled': 0.06,
  'message cancelled': 0.1,
  'message retried': 0.15,
  'message rescheduled': 0.1,
  'unknown settled': 0.15,
  'account paused': 0.08,
  'all sending paused': 0.03,
  'policy edited': 0.1,
  'post acted on': 0.1,
  'post edited': 0.06,
  'enqueued twice': 0.15,
} as const;

export type FaultName = keyof typeof RATES_MAX;
export const FAULTS = Object.keys(RATES_MAX) as readonly FaultName[];
export type Faults = Readonly<Record<FaultName, number>>;

export interface PlannedMessage {
  readonly text: string;
  readonly recipient: string;
  /** The recipient has replied, and this goes into that chat. */
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
  /** When fault injection stops and the recovery period starts. */
  readonly recoveryStartMs: number;
  readonly accounts: readonly PlannedAccount[];
  readonly machines: number;
  readonly sendConcurrency: number;
  readonly unknownPolicy: 'resend-when-absent' | 'hold';
  /** Triggers of each job in a day. */
  readonly triggersPerDay: number;
  /**
   * The most that a call to the database takes each way, and a call to Unipile in all, in
   * milliseconds.
   */
  readonly databaseMsMax: number;
  readonly unipileMsMax: number;
  /** How late the timers of a busy machine fire at most, in milliseconds. */
  readonly timersLateMsMax: number;
  readonly faults: Faults;
}

/** The share of simulations with a burst, in which rows are claimed ahead; elsewhere few are. */
const BURST_SHARE = 0.15;

/** Part of every text, so that it is found in a log. */
export const TEXT_MARK = 'Simulated text';

/** @param only the faults to inject, at high rates, and no others; by default any are drawn */
export function planSimulation(
  seed: number,
  zones: readonly string[],
  only: readonly FaultName[] | null = null,
): Plan {
  const random = createRandom(seed);
  const world = planWorld(random, zones);
  const isBurst = random.chance(BURST_SHARE);
  const days = isBurst ? 2 : random.pick([2, 3, 3, 4, 5, 8, 15]);
  const recoveryStartMs = world.startMs + days * DAY_MS;
  const faults = only === null ? drawFaults(random) : faultsOf(only);
  return {
    seed,
    startMs: world.startMs,
    recoveryStartMs,
    accounts: isBurst ? planBurst(random, world) : planAccounts(random, world, recoveryStartMs),
    machines: random.integer(1, 3),
    sendConcurrency: isBurst ? 10 : random.pick([1, 2, 10]),
    databaseMsMax: isBurst ? 300 : 30,
    unipileMsMax: isBurst ? 500 : random.pick([500, 5_000, 20_000]),
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

/** The named faults at twice their highest rate, and no others. */
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

/** A burst: more accounts than permits, without gaps or hours, all their messages due at once. */
function planBurst(random: Random, { startMs, accounts: [first] }: WorldPlan): PlannedAccount[] {
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
    // Now and then two messages are twins, the same text to the same recipient: both go out.
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
