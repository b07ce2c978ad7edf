/**
 * The fault phase: rounds in which processes work and are killed, the database dies, connections
 * are cut, and instances are deployed over; and between two rounds a time skip, for which all
 * processes are killed.
 *
 * A lease lasts two minutes and an absence is believed after thirty. To see what comes after them
 * without waiting, the ledger's instants are moved back once no process is alive and no call is
 * out: the same as if that time had passed.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import type { Campaign } from './campaign.ts';
import type { Cluster, Instance } from './cluster.ts';
import type { Database } from './database.ts';
import { countWaiting, giveUpRuns, moveTime, type OpenAttempt, readOpenAttempts } from './ledger.ts';
import {
  drawCut,
  drawKillPoint,
  drawMoments,
  drawServerKillPoint,
  drawSkipMinutes,
  FAULTS,
  type Form,
  isRoundOver,
  type KillPoint,
  kindOfPlace,
  RECOVERY_FAULTS,
  type RoundSoFar,
  type Streams,
  shareOf,
} from './plan.ts';
import { GRACE_SECONDS, type Stack } from './stack.ts';
import type { Tally } from './tally.ts';
import type { Triggers } from './triggers.ts';

export interface FaultPhase {
  readonly form: Form;
  readonly streams: Streams;
  readonly stack: Stack;
  readonly database: Database;
  readonly campaign: Campaign;
  readonly triggers: Triggers;
  readonly tally: Tally;
  readonly cluster: Cluster;
  readonly onStep: (step: string) => void;
}

/**
 * How long after SIGTERM a process may take before it is killed, in milliseconds: what the service
 * itself promises.
 */
const DEPLOY_GRACE_MS = (GRACE_SECONDS + 6) * 1_000;

/** How long what was under way in the sandbox may take to end, in milliseconds. */
const QUIET_MS_MAX = 30_000;

export async function runFaultPhase(phase: FaultPhase): Promise<void> {
  const { form, streams, stack, onStep } = phase;
  const skips = streams('skips');
  await warmUp(phase);
  stack.world.addFaults(FAULTS);
  for (let round = 1; round <= form.roundCount; round += 1) {
    await runRound(phase, round);
    await killAll(phase);
    const { kills, killsAtWork } = phase.tally;
    onStep(`Round ${round} of ${form.roundCount}: ${kills} kills so far, ${killsAtWork} of them at work`);
    if (round < form.roundCount) await passTime(phase, drawSkipMinutes(skips));
  }
  phase.tally.answersSpoilt = stack.world
    .faults()
    .filter(({ action }) => !['latency', 'late_visibility'].includes(action.kind))
    .reduce((sum, { hits }) => sum + hits, 0);
  stack.world.clearFaults();
  stack.world.addFaults(RECOVERY_FAULTS);
}

/** A process that ends by itself leaves the cache of compiled code that those killed later start from. */
async function warmUp({ cluster, form }: FaultPhase): Promise<void> {
  for (const kind of new Set([kindOfPlace(form.engine, 0), kindOfPlace(form.engine, 1)])) {
    const first = cluster.start(kind);
    await first.ready;
    await first.stop(DEPLOY_GRACE_MS);
  }
}

async function runRound(phase: FaultPhase, round: number): Promise<void> {
  const { form, triggers, cluster, campaign, tally } = phase;
  const stream = (name: string): Random => phase.streams(`${name} of round ${round}`);
  const momentsOf = (name: string, total: number): number[] =>
    drawMoments(stream(name), shareOf(total, round, form.roundCount), form.killsPerRound);
  const end = new AbortController();
  const { signal } = end;
  const moments = {
    postgres: momentsOf('deaths of Postgres', form.postgresKills),
    redis: form.engine === 'bullmq' ? momentsOf('deaths of Redis', form.redisKills) : [],
    deploys: momentsOf('deploys', form.deploys),
  };
  await campaign.queueMessages(form.accountCount / 2);
  const killsBefore = tally.kills;
  const startedMs = performance.now();
  const soFar = (): RoundSoFar => ({
    kills: tally.kills - killsBefore,
    killsAtWork: tally.killsAtWork,
    minutes: (performance.now() - startedMs) / 60_000,
  });
  const isOver = (): boolean => signal.aborted || isRoundOver(form, round, soFar());
  const others = [
    triggers.cron(cluster, stream('one cron'), signal),
    triggers.cron(cluster, stream('another cron'), signal),
    feed(phase, signal),
    cutConnections(phase, stream('cuts'), signal),
  ];
  const places = Array.from({ length: form.placeCount }, (_, place) =>
    keepPlace(phase, place, stream(`place ${place}`), moments, () => soFar().kills, isOver),
  );
  try {
    // A failure of any of them ends the round, and the run.
    await Promise.race([Promise.all(places), failureOf(others)]);
  } finally {
    end.abort();
  }
  await Promise.all(others);
}

function failureOf(works: readonly Promise<void>[]): Promise<never> {
  return new Promise((_resolve, reject) => {
    for (const work of works) work.catch(reject);
  });
}

interface Moments {
  readonly postgres: number[];
  readonly redis: number[];
  readonly deploys: number[];
}

/** Whether the first of these moments has come; each comes once. */
function isDue(moments: number[], ordinal: number): boolean {
  const isNow = (moments[0] ?? Number.POSITIVE_INFINITY) <= ordinal;
  if (isNow) moments.shift();
  return isNow;
}

/** One place in the cluster: a process is started, put to work and killed, again and again. */
async function keepPlace(
  phase: FaultPhase,
  place: number,
  random: Random,
  moments: Moments,
  kills: () => number,
  isOver: () => boolean,
): Promise<void> {
  const { cluster, form } = phase;
  const kind = kindOfPlace(form.engine, place);
  const handsOn = form.engine === 'bullmq' && kind === 'server';
  let successor: Instance | null = null;
  while (!isOver()) {
    const instance: Instance = successor ?? cluster.start(kind);
    successor = null;
    await untilKillPoint(
      phase,
      instance,
      handsOn ? drawServerKillPoint(random) : drawKillPoint(random),
      isOver,
    );
    const ordinal = kills() + 1;
    if (isDue(moments.deploys, ordinal)) successor = await deployOver(phase, instance);
    else await killOne(phase, instance);
    if (isDue(moments.postgres, ordinal)) await killPostgres(phase, random);
    if (isDue(moments.redis, ordinal)) await killRedis(phase, random);
  }
}

/** How long a process may take to its first claim before it is killed all the same, in milliseconds. */
const CLAIM_MS_MAX = 60_000;

/** Resolves when the process is to be killed, which the end of the round only brings nearer. */
async function untilKillPoint(
  phase: FaultPhase,
  instance: Instance,
  { after, ms }: KillPoint,
  isOver: () => boolean,
): Promise<void> {
  if (after !== 'start') await putToWork(phase, instance);
  const deadline = performance.now() + CLAIM_MS_MAX;
  while (after === 'claim' && performance.now() < deadline && !isOver()) {
    if ((await readOpenAttempts(phase.database, instance.pid)).length > 0) break;
    await wait(100);
  }
  await wait(ms);
}

/** By a run that it is asked for; a worker is given one by whoever listens. */
async function putToWork({ triggers, cluster }: FaultPhase, instance: Instance): Promise<void> {
  await instance.ready;
  const url = instance.url() ?? (instance.kind === 'worker' ? cluster.listening()[0]?.url() : null);
  if (url) await triggers.scopedRun(url);
}

async function killOne({ database, stack, tally }: FaultPhase, instance: Instance): Promise<void> {
  await instance.kill();
  tally.kills += 1;
  const open = await readOpenAttempts(database, instance.pid);
  const isUncalled = ({ account, claimedAtMs }: OpenAttempt) =>
    stack.instrumented.lastBegunMs(account) < claimedAtMs;
  tally.attemptsCut += open.length;
  tally.attemptsUncalled += open.filter(isUncalled).length;
  if (open.length > 0) tally.killsAtWork += 1;
  await giveUpRuns(database, instance.pid);
}

/** The new instance works before the old one is asked to end. */
async function deployOver(phase: FaultPhase, old: Instance): Promise<Instance> {
  const { cluster, tally, database } = phase;
  const successor = cluster.start(old.kind);
  await putToWork(phase, successor);
  const end = await old.stop(DEPLOY_GRACE_MS);
  await giveUpRuns(database, old.pid);
  if (end === 'stopped') tally.deploysEnded += 1;
  else tally.deploysKilled += 1;
  return successor;
}

let isPostgresRestarting = false;

async function killPostgres({ stack, tally }: FaultPhase, random: Random): Promise<void> {
  if (isPostgresRestarting) return;
  isPostgresRestarting = true;
  try {
    await stack.postgres.kill();
    tally.postgresKills += 1;
    await wait(random.integer(0, 2_000));
    await stack.postgres.restart();
  } finally {
    isPostgresRestarting = false;
  }
}

let isRedisRestarting = false;

/** All that Redis knew is gone. */
async function killRedis({ stack, tally }: FaultPhase, random: Random): Promise<void> {
  if (isRedisRestarting || stack.redis === null) return;
  isRedisRestarting = true;
  try {
    await stack.redis.kill();
    tally.redisKills += 1;
    await wait(random.integer(0, 4_000));
    await stack.redis.restart();
  } finally {
    isRedisRestarting = false;
  }
}

/** Queues as fast as is planned, unless there is enough for half of the accounts. */
async function feed({ form, campaign, database }: FaultPhase, signal: AbortSignal): Promise<void> {
  const posts = 20;
  while (!signal.aborted) {
    const waiting = await countWaiting(database);
    if (waiting.messages < form.accountCount / 2) await campaign.queueMessages(form.messagesPerSecond);
    if (waiting.posts < posts) await campaign.queuePosts(form.postsPerSecond);
    await pause(1_000, signal);
  }
}

async function cutConnections(
  { stack, tally }: FaultPhase,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { waitMs, where, kind, lastsMs } = drawCut(random);
    await pause(waitMs, signal);
    if (signal.aborted) return;
    tally.cuts += 1;
    tally.connectionsCut += await stack.proxies[where].cut(kind, lastsMs);
  }
}

async function killAll(phase: FaultPhase): Promise<void> {
  await Promise.all(phase.cluster.instances().map((instance) => killOne(phase, instance)));
}

/**
 * Resolves once the sandbox has done with every write, and none has come for a second: what a
 * process had written when it was killed still arrives. Those that hang are over, as nobody waits
 * for them.
 */
async function untilQuiet({ instrumented }: Pick<Stack, 'instrumented'>): Promise<void> {
  const deadline = performance.now() + QUIET_MS_MAX;
  for (let quietMs = 0; quietMs < 1_000; quietMs = instrumented.underWay() > 0 ? 0 : quietMs + 50) {
    if (performance.now() > deadline) throw new Error(`${instrumented.underWay()} writes do not end`);
    await wait(50);
  }
}

/** Moves time on. Nobody may be alive: a lease would end under a call that is out. */
export async function passTime(
  { cluster, stack, database, tally }: Pick<FaultPhase, 'cluster' | 'stack' | 'database' | 'tally'>,
  minutes: number,
): Promise<void> {
  if (cluster.instances().length > 0) throw new Error('time was to be moved while a process is alive');
  await untilQuiet(stack);
  await moveTime(database, minutes);
  tally.minutesMoved += minutes;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
