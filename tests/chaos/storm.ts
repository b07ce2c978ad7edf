/**
 * The storm: acts in which processes work and are killed, the database dies, connections are cut, and instances are
 * deployed over; and between two acts a night, in which everybody is killed and time moves on.
 *
 * A lease lasts two minutes and an absence is believed after thirty. To see what comes after them without waiting, the
 * ledger's instants are moved back once no process is alive and no call is out: the same as if that time had passed.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import type { Campaign } from './campaign.ts';
import type { Database } from './database.ts';
import type { Fleet, Instance } from './fleet.ts';
import { countWaiting, giveUpRuns, moveTime, type OpenAttempt, readOpenAttempts } from './ledger.ts';
import {
  type ActSoFar,
  CALM_FAULTS,
  drawCut,
  drawFate,
  drawMoments,
  drawNightMinutes,
  drawServersFate,
  type Fate,
  type Form,
  isActOver,
  kindOfBerth,
  STORM_FAULTS,
  type Streams,
  shareOf,
} from './plan.ts';
import { GRACE_SECONDS, type Stack } from './stack.ts';
import type { Tally } from './tally.ts';
import type { Triggers } from './triggers.ts';

export interface Storm {
  readonly form: Form;
  readonly streams: Streams;
  readonly stack: Stack;
  readonly database: Database;
  readonly campaign: Campaign;
  readonly triggers: Triggers;
  readonly tally: Tally;
  readonly fleet: Fleet;
  readonly onStep: (step: string) => void;
}

/** How long after SIGTERM a process may take before it is killed, in milliseconds: what the service itself promises. */
const DEPLOY_GRACE_MS = (GRACE_SECONDS + 6) * 1_000;

/** How long what was under way in the sandbox may take to end, in milliseconds. */
const QUIET_MS_MAX = 30_000;

export async function runStorm(storm: Storm): Promise<void> {
  const { form, streams, stack, onStep } = storm;
  const nights = streams('nights');
  await warmUp(storm);
  stack.world.addFaults(STORM_FAULTS);
  for (let act = 1; act <= form.actCount; act += 1) {
    await runAct(storm, act);
    await killEverybody(storm);
    const { kills, killsAtWork } = storm.tally;
    onStep(`Act ${act} of ${form.actCount}: ${kills} kills so far, ${killsAtWork} of them at work`);
    if (act < form.actCount) await passTime(storm, drawNightMinutes(nights));
  }
  storm.tally.answersSpoilt = stack.world
    .faults()
    .filter(({ action }) => !['latency', 'late_visibility'].includes(action.kind))
    .reduce((sum, { hits }) => sum + hits, 0);
  stack.world.clearFaults();
  stack.world.addFaults(CALM_FAULTS);
}

/** A process that ends by itself leaves the cache of compiled code that those killed later start from. */
async function warmUp({ fleet, form }: Storm): Promise<void> {
  for (const kind of new Set([kindOfBerth(form.engine, 0), kindOfBerth(form.engine, 1)])) {
    const first = fleet.start(kind);
    await first.ready;
    await first.stop(DEPLOY_GRACE_MS);
  }
}

async function runAct(storm: Storm, act: number): Promise<void> {
  const { form, triggers, fleet, campaign, tally } = storm;
  const stream = (name: string): Random => storm.streams(`${name} of act ${act}`);
  const momentsOf = (name: string, total: number): number[] =>
    drawMoments(stream(name), shareOf(total, act, form.actCount), form.killsPerAct);
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
  const soFar = (): ActSoFar => ({
    kills: tally.kills - killsBefore,
    killsAtWork: tally.killsAtWork,
    minutes: (performance.now() - startedMs) / 60_000,
  });
  const isOver = (): boolean => signal.aborted || isActOver(form, act, soFar());
  const others = [
    triggers.cron(fleet, stream('one cron'), signal),
    triggers.cron(fleet, stream('another cron'), signal),
    feed(storm, signal),
    cutConnections(storm, stream('cuts'), signal),
  ];
  const berths = Array.from({ length: form.berthCount }, (_, berth) =>
    keepBerth(storm, berth, stream(`berth ${berth}`), moments, () => soFar().kills, isOver),
  );
  try {
    // A failure of any of them ends the act, and the run.
    await Promise.race([Promise.all(berths), failureOf(others)]);
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

/** One place in the fleet: a process is started, put to work and killed, again and again. */
async function keepBerth(
  storm: Storm,
  berth: number,
  random: Random,
  moments: Moments,
  kills: () => number,
  isOver: () => boolean,
): Promise<void> {
  const { fleet, form } = storm;
  const kind = kindOfBerth(form.engine, berth);
  const handsOn = form.engine === 'bullmq' && kind === 'server';
  let successor: Instance | null = null;
  while (!isOver()) {
    const instance: Instance = successor ?? fleet.start(kind);
    successor = null;
    await meetFate(storm, instance, handsOn ? drawServersFate(random) : drawFate(random), isOver);
    const ordinal = kills() + 1;
    if (isDue(moments.deploys, ordinal)) successor = await deployOver(storm, instance);
    else await killOne(storm, instance);
    if (isDue(moments.postgres, ordinal)) await killPostgres(storm, random);
    if (isDue(moments.redis, ordinal)) await killRedis(storm, random);
  }
}

/** How long a process may take to its first claim before it is killed all the same, in milliseconds. */
const CLAIM_MS_MAX = 60_000;

/** Resolves when the process is to be killed, which the end of the act only brings nearer. */
async function meetFate(
  storm: Storm,
  instance: Instance,
  { after, ms }: Fate,
  isOver: () => boolean,
): Promise<void> {
  if (after !== 'start') await putToWork(storm, instance);
  const deadline = performance.now() + CLAIM_MS_MAX;
  while (after === 'claim' && performance.now() < deadline && !isOver()) {
    if ((await readOpenAttempts(storm.database, instance.pid)).length > 0) break;
    await wait(100);
  }
  await wait(ms);
}

/** By a run that it is asked for; a worker is given one by whoever listens. */
async function putToWork({ triggers, fleet }: Storm, instance: Instance): Promise<void> {
  await instance.ready;
  const url = instance.url() ?? (instance.kind === 'worker' ? fleet.listening()[0]?.url() : null);
  if (url) await triggers.scopedRun(url);
}

async function killOne({ database, stack, tally }: Storm, instance: Instance): Promise<void> {
  await instance.kill();
  tally.kills += 1;
  const open = await readOpenAttempts(database, instance.pid);
  const isUncalled = ({ account, claimedAtMs }: OpenAttempt) =>
    stack.watched.lastBegunMs(account) < claimedAtMs;
  tally.attemptsCut += open.length;
  tally.attemptsUncalled += open.filter(isUncalled).length;
  if (open.length > 0) tally.killsAtWork += 1;
  await giveUpRuns(database, instance.pid);
}

/** The new instance works before the old one is asked to end. */
async function deployOver(storm: Storm, old: Instance): Promise<Instance> {
  const { fleet, tally, database } = storm;
  const successor = fleet.start(old.kind);
  await putToWork(storm, successor);
  const end = await old.stop(DEPLOY_GRACE_MS);
  await giveUpRuns(database, old.pid);
  if (end === 'stopped') tally.deploysEnded += 1;
  else tally.deploysKilled += 1;
  return successor;
}

let isPostgresRestarting = false;

async function killPostgres({ stack, tally }: Storm, random: Random): Promise<void> {
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
async function killRedis({ stack, tally }: Storm, random: Random): Promise<void> {
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
async function feed({ form, campaign, database }: Storm, signal: AbortSignal): Promise<void> {
  const posts = 20;
  while (!signal.aborted) {
    const waiting = await countWaiting(database);
    if (waiting.messages < form.accountCount / 2) await campaign.queueMessages(form.messagesPerSecond);
    if (waiting.posts < posts) await campaign.queuePosts(form.postsPerSecond);
    await pause(1_000, signal);
  }
}

async function cutConnections({ stack, tally }: Storm, random: Random, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { waitMs, where, kind, lastsMs } = drawCut(random);
    await pause(waitMs, signal);
    if (signal.aborted) return;
    tally.cuts += 1;
    tally.connectionsCut += await stack.proxies[where].cut(kind, lastsMs);
  }
}

async function killEverybody(storm: Storm): Promise<void> {
  await Promise.all(storm.fleet.instances().map((instance) => killOne(storm, instance)));
}

/**
 * Resolves once the sandbox has done with every write, and none has come for a second: what a process had written when
 * it was killed still arrives. Those that hang are over, as nobody waits for them.
 */
async function untilQuiet({ watched }: Pick<Stack, 'watched'>): Promise<void> {
  const deadline = performance.now() + QUIET_MS_MAX;
  for (let quietMs = 0; quietMs < 1_000; quietMs = watched.underWay() > 0 ? 0 : quietMs + 50) {
    if (performance.now() > deadline) throw new Error(`${watched.underWay()} writes do not end`);
    await wait(50);
  }
}

/** Moves time on. Nobody may be alive: a lease would end under a call that is out. */
export async function passTime(
  { fleet, stack, database, tally }: Pick<Storm, 'fleet' | 'stack' | 'database' | 'tally'>,
  minutes: number,
): Promise<void> {
  if (fleet.instances().length > 0) throw new Error('time was to be moved while a process is alive');
  await untilQuiet(stack);
  await moveTime(database, minutes);
  tally.minutesMoved += minutes;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
