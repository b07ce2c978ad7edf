/**
 * The plan of a chaos run: what is killed, cut and asked for, drawn from a seed.
 *
 * The same seed draws the same plan. What meets what, and when, is the machine's: two runs of one
 * plan differ.
 */
import { crc32 } from 'node:zlib';
import type { Fault } from '@revos/unipile-sandbox';
import { createRandom, type Random } from '../support/random.ts';
import type { CutKind } from './proxy.ts';

/**
 * What the processes of a run are: jobs APIs that work by themselves, or jobs APIs and workers with
 * Redis between.
 */
export type EngineName = 'in-process' | 'bullmq';

/** A jobs API, or a worker without a port. */
export type ProcessKind = 'server' | 'worker';

export interface Form {
  readonly name: 'short' | 'long';
  readonly engine: EngineName;
  readonly roundCount: number;
  /**
   * On a slow machine a round ends after its share of this, in minutes, with fewer kills; see
   * `isRoundOver`.
   */
  readonly minutesMax: number;
  /** SIGKILLs of jobs API processes in each round, without those that end it. */
  readonly killsPerRound: number;
  /** In all rounds together, as evenly as can be. */
  readonly postgresKills: number;
  /** Only with BullMQ. Each loses all that Redis knew. */
  readonly redisKills: number;
  readonly deploys: number;
  /**
   * Every kill leaves up to `sendConcurrency` accounts and a fifth more to their leases: there must
   * be others to go on with.
   */
  readonly accountCount: number;
  /** Jobs API processes at the same time. */
  readonly placeCount: number;
  readonly sendConcurrency: number;
  readonly messagesPerSecond: number;
  readonly postsPerSecond: number;
}

const RATES = { sendConcurrency: 20, messagesPerSecond: 40, postsPerSecond: 2 } as const;

/** For every commit: two and a half minutes on two cores. */
export const SHORT: Form = {
  ...RATES,
  name: 'short',
  engine: 'in-process',
  placeCount: 4,
  roundCount: 3,
  minutesMax: 1.75,
  killsPerRound: 22,
  postgresKills: 2,
  redisKills: 6,
  deploys: 3,
  accountCount: 450,
};

/** By hand: a thousand kills. */
export const LONG: Form = {
  ...RATES,
  name: 'long',
  engine: 'in-process',
  placeCount: 6,
  roundCount: 9,
  minutesMax: 90,
  killsPerRound: 112,
  postgresKills: 18,
  redisKills: 54,
  deploys: 45,
  accountCount: 1_800,
};

/**
 * With BullMQ one process in four is a jobs API, which claims only while Redis is away; the others
 * are workers.
 */
const SERVER_EVERY = 4;

export function kindOfPlace(engine: EngineName, place: number): ProcessKind {
  return engine === 'in-process' || place % SERVER_EVERY === 0 ? 'server' : 'worker';
}

/**
 * Chance by name, each its own: what one part of the plan draws does not depend on how often another one did.
 */
export type Streams = (name: string) => Random;

export function streamsOf(seed: number): Streams {
  return (name) => createRandom(seed ^ crc32(name));
}

/** When a process is killed: so many milliseconds after it was started, listened, or had its first claim. */
export interface KillPoint {
  readonly after: 'start' | 'listening' | 'claim';
  readonly ms: number;
}

/** Most are killed in their first calls; a few live for long enough to see what others left behind. */
export function drawKillPoint(random: Random): KillPoint {
  const draw = random.next();
  if (draw < 0.04) return { after: 'start', ms: random.integer(0, 1_200) };
  if (draw < 0.12) return { after: 'listening', ms: random.integer(0, 1_000) };
  if (draw < 0.18) return { after: 'claim', ms: random.integer(5_000, 12_000) };
  return { after: 'claim', ms: random.integer(0, 1_300) };
}

/** One that hands its runs on is killed while it does. */
export function drawServerKillPoint(random: Random): KillPoint {
  return { after: 'listening', ms: random.integer(0, 8_000) };
}

export interface PlannedCut {
  readonly waitMs: number;
  readonly where: 'database' | 'unipile';
  readonly kind: CutKind;
  readonly lastsMs: number;
}

export function drawCut(random: Random): PlannedCut {
  const kind = random.pick(['reset', 'black-hole', 'lost-answers', 'lost-answers', 'refused'] as const);
  return {
    waitMs: random.integer(1_000, 4_000),
    where: random.pick(['database', 'unipile'] as const),
    kind,
    lastsMs: kind === 'reset' ? 0 : random.integer(200, kind === 'refused' ? 800 : 3_000),
  };
}

/**
 * Minutes by which the ledger is moved between two rounds: past the leases, and often past a
 * believed absence.
 */
export function drawSkipMinutes(random: Random): number {
  return random.chance(0.7) ? 31 : random.integer(6, 20);
}

/** What happens in one of the rounds, of so many in all of them. */
export function shareOf(total: number, round: number, roundCount: number): number {
  return Math.floor((total * round) / roundCount) - Math.floor((total * (round - 1)) / roundCount);
}

/**
 * At which kills of a round something else happens too, in order; early, since a slow machine ends
 * a round early.
 */
export function drawMoments(random: Random, count: number, killsPerRound: number): number[] {
  const latest = Math.max(2, Math.floor(killsPerRound / 3));
  const ordinals = Array.from({ length: count }, () => random.integer(2, latest));
  return ordinals.sort((left, right) => left - right);
}

/** Kills that must hit a process at work, in a whole run: with fewer it proves nothing. */
export const KILLS_AT_WORK_MIN = 20;

/** How much longer than planned a round may take on a slow machine, until enough was killed. */
const PATIENCE = 4;

export interface RoundSoFar {
  readonly kills: number;
  /** Of the run, up to now. */
  readonly killsAtWork: number;
  readonly minutes: number;
}

/**
 * A round is over with its last kill; or with its time, once it has done its part of what the run
 * must prove.
 */
export function isRoundOver(form: Form, round: number, so: RoundSoFar): boolean {
  const minutes = form.minutesMax / form.roundCount;
  const isEnough = so.killsAtWork >= (KILLS_AT_WORK_MIN * round) / form.roundCount;
  return so.kills >= form.killsPerRound || so.minutes > minutes * (isEnough ? 1 : PATIENCE);
}

const WRITES = ['send', 'create_post'] as const;

/** What Unipile does to writes in the fault phase; the numbers are chances. */
const WRITE_FAULTS: ReadonlyArray<readonly [probability: number, action: Fault['action']]> = [
  [0.03, { kind: 'drop_answer' }],
  [0.01, { kind: 'reset_before' }],
  [0.02, { kind: 'reset_mid_answer' }],
  [0.01, { kind: 'reset_mid_answer', effect: false }],
  [0.01, { kind: 'hang', effect: true }],
  [0.01, { kind: 'hang', effect: false }],
  [0.015, { kind: 'status', status: 502, type: 'errors/provider_error', effect: true }],
  [0.015, { kind: 'status', status: 504, type: 'errors/request_timeout', effect: false }],
  [0.01, { kind: 'html_body', status: 502, effect: true }],
  [0.01, { kind: 'html_body', effect: true }],
  [0.01, { kind: 'null_ids' }],
  [0.01, { kind: 'malformed_body' }],
  [0.005, { kind: 'status', status: 429, type: 'errors/too_many_requests', effect: false, retry_after_s: 5 }],
  [0.05, { kind: 'late_visibility', ms: 5_000 }],
  // A call takes its time, and its effect comes at either end of it: also after its caller has died.
  [0.5, { kind: 'latency', min_ms: 300, max_ms: 2_500, effect_at: 'start' }],
  [1, { kind: 'latency', min_ms: 300, max_ms: 2_500, effect_at: 'end' }],
];

/** In the recovery a call still takes its time, so that two of one account would meet. */
export const RECOVERY_FAULTS: readonly Fault[] = WRITES.map((operation) => ({
  match: { operation },
  action: { kind: 'latency', min_ms: 20, max_ms: 300 },
  times: null,
}));

const READ_FAULTS: ReadonlyArray<readonly [probability: number, action: Fault['action']]> = [
  [0.02, { kind: 'reset_before' }],
  [0.01, { kind: 'status', status: 503, type: 'errors/service_unavailable', effect: false }],
];

export const FAULTS: readonly Fault[] = [
  ...WRITES.flatMap((operation) =>
    WRITE_FAULTS.map(([probability, action]) => ({ match: { operation }, action, probability, times: null })),
  ),
  ...READ_FAULTS.map(([probability, action]) => ({
    match: { operation: 'read' as const },
    action,
    probability,
    times: null,
  })),
];
