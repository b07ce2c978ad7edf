/**
 * The plan of a chaos run: what is killed, cut and asked for, drawn from a seed.
 *
 * The same seed draws the same plan. What meets what, and when, is the machine's: two runs of one plan differ.
 */
import { crc32 } from 'node:zlib';
import type { Fault } from '@revos/unipile-sandbox';
import { createRandom, type Random } from '../support/random.ts';
import type { CutKind } from './proxy.ts';

/** What the processes of a run are: jobs APIs that work by themselves, or jobs APIs and workers with Redis between. */
export type EngineName = 'in-process' | 'bullmq';

/** A jobs API, or a worker without a port. */
export type ProcessKind = 'server' | 'worker';

export interface Form {
  readonly name: 'short' | 'long';
  readonly engine: EngineName;
  readonly actCount: number;
  /** On a slow machine an act ends after its share of this, in minutes, with fewer kills; see `isActOver`. */
  readonly minutesMax: number;
  /** SIGKILLs of jobs API processes in each act, without those that end it. */
  readonly killsPerAct: number;
  /** In all acts together, as evenly as can be. */
  readonly postgresKills: number;
  /** Only with BullMQ. Each loses all that Redis knew. */
  readonly redisKills: number;
  readonly deploys: number;
  /** Every kill leaves up to `sendConcurrency` accounts and a fifth more to their leases: there must be others to go on with. */
  readonly accountCount: number;
  /** Jobs API processes at the same time. */
  readonly berthCount: number;
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
  berthCount: 4,
  actCount: 3,
  minutesMax: 1.75,
  killsPerAct: 22,
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
  berthCount: 6,
  actCount: 9,
  minutesMax: 90,
  killsPerAct: 112,
  postgresKills: 18,
  redisKills: 54,
  deploys: 45,
  accountCount: 1_800,
};

/** With BullMQ one process in four is a jobs API, which claims only while Redis is away; the others are workers. */
const SERVER_EVERY = 4;

export function kindOfBerth(engine: EngineName, berth: number): ProcessKind {
  return engine === 'in-process' || berth % SERVER_EVERY === 0 ? 'server' : 'worker';
}

/**
 * Chance by name, each its own: what one part of the storm draws does not depend on how often another one did.
 */
export type Streams = (name: string) => Random;

export function streamsOf(seed: number): Streams {
  return (name) => createRandom(seed ^ crc32(name));
}

/** When a process is killed: so many milliseconds after it was started, listened, or had its first claim. */
export interface Fate {
  readonly after: 'start' | 'listening' | 'claim';
  readonly ms: number;
}

/** Most are killed in their first calls; a few live for long enough to see what others left behind. */
export function drawFate(random: Random): Fate {
  const draw = random.next();
  if (draw < 0.04) return { after: 'start', ms: random.integer(0, 1_200) };
  if (draw < 0.12) return { after: 'listening', ms: random.integer(0, 1_000) };
  if (draw < 0.18) return { after: 'claim', ms: random.integer(5_000, 12_000) };
  return { after: 'claim', ms: random.integer(0, 1_300) };
}

/** One that hands its runs on is killed while it does. */
export function drawServersFate(random: Random): Fate {
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

/** Minutes by which the ledger is moved between two acts: past the leases, and often past a believed absence. */
export function drawNightMinutes(random: Random): number {
  return random.chance(0.7) ? 31 : random.integer(6, 20);
}

/** What happens in one of the acts, of so many in all of them. */
export function shareOf(total: number, act: number, actCount: number): number {
  return Math.floor((total * act) / actCount) - Math.floor((total * (act - 1)) / actCount);
}

/** At which kills of an act something else happens too, in order; early, since a slow machine ends an act early. */
export function drawMoments(random: Random, count: number, killsPerAct: number): number[] {
  const latest = Math.max(2, Math.floor(killsPerAct / 3));
  const ordinals = Array.from({ length: count }, () => random.integer(2, latest));
  return ordinals.sort((left, right) => left - right);
}

/** Kills that must hit a process at work, in a whole run: with fewer it proves nothing. */
export const KILLS_AT_WORK_MIN = 20;

/** How much longer than planned an act may take on a slow machine, until enough was killed. */
const PATIENCE = 4;

export interface ActSoFar {
  readonly kills: number;
  /** Of the run, up to now. */
  readonly killsAtWork: number;
  readonly minutes: number;
}

/** An act is over with its last kill; or with its time, once it has done its part of what the run must prove. */
export function isActOver(form: Form, act: number, so: ActSoFar): boolean {
  const minutes = form.minutesMax / form.actCount;
  const isEnough = so.killsAtWork >= (KILLS_AT_WORK_MIN * act) / form.actCount;
  return so.kills >= form.killsPerAct || so.minutes > minutes * (isEnough ? 1 : PATIENCE);
}

const WRITES = ['send', 'create_post'] as const;

/** What Unipile does to writes while the storm lasts; the numbers are chances. */
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

/** In the calm a call still takes its time, so that two of one account would meet. */
export const CALM_FAULTS: readonly Fault[] = WRITES.map((operation) => ({
  match: { operation },
  action: { kind: 'latency', min_ms: 20, max_ms: 300 },
  times: null,
}));

const READ_FAULTS: ReadonlyArray<readonly [probability: number, action: Fault['action']]> = [
  [0.02, { kind: 'reset_before' }],
  [0.01, { kind: 'status', status: 503, type: 'errors/service_unavailable', effect: false }],
];

export const STORM_FAULTS: readonly Fault[] = [
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
