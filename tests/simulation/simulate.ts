/**
 * One simulation: what a seed's plan says, step by step to its end, or to the first invariant violation.
 */
import { jobs } from '@revos/core/registry';
import { RpcError } from '@revos/core/rpc';
import { createWorld } from '@revos/unipile-sandbox';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../support/builders.ts';
import { createRandom, type Random } from '../support/random.ts';
import type { Session } from '../support/session.ts';
import type { SimulatedDatabase } from './database.ts';
import { createInvariantChecker } from './invariants.ts';
import { createMachine, type Machine } from './machine.ts';
import { createPeople } from './people.ts';
import { type FaultName, type Plan, planSimulation } from './plan.ts';
import type { Sabotage } from './sabotages.ts';
import { createTimeline, type Timeline } from './timeline.ts';
import { createTrace, type RecordEvent } from './trace.ts';
import { unipileFaults } from './unipile-faults.ts';

export interface SimulationResult {
  readonly seed: number;
  /** How an invariant was violated, or null. */
  readonly violation: string | null;
  /** An error that neither the product nor the simulation handled, with its stack, or null. */
  readonly error: string | null;
  /** Steps that were taken. */
  readonly steps: number;
  readonly simulatedMs: number;
  readonly counts: Readonly<Record<string, number>>;
  /** Of the whole trace: the same seed gives the same. */
  readonly hash: string;
  /** The last events of the trace, in order. */
  readonly lastLines: readonly string[];
}

/** Some fourteen times what a simulation takes on average: more is an endless loop. */
const STEPS_MAX = 60_000;

/** How long everything has to come to rest once nothing goes wrong any more: the last looks are two hours apart. */
const CALM_MS = 4.5 * HOUR_MS;

/**
 * @param session of a database that may be emptied, with the sabotage in its migrations if there is one
 * @param zones those that the database and this process agree about
 */
export async function simulate(
  seed: number,
  session: Session,
  zones: readonly string[],
  sabotage: Sabotage | null = null,
): Promise<SimulationResult> {
  const plan = planSimulation(seed, zones, sabotage?.bearing);
  const random = createRandom(seed ^ 0x5eed);
  const timeline = createTimeline(new Date(plan.startMs));
  const { record, ...trace } = createTrace(timeline.now);
  let steps = 0;
  let isCalm = false;
  const strikes = (name: FaultName): boolean => {
    const isStruck = !isCalm && random.chance(plan.faults[name]);
    if (isStruck) record(`fault: ${name}`);
    return isStruck;
  };
  const faults = unipileFaults(plan.faults, random);
  const world = createWorld({
    now: timeline.now,
    random: random.next,
    accounts: plan.accounts.map(({ unipileId }) => ({ id: unipileId })),
    faults: faults.map(([, fault]) => fault),
    latencyMs: { min: 50, max: plan.unipileMsMax },
    effectAt: random.pick(['start', 'end']),
  });
  const invariants = createInvariantChecker(plan, world, session);
  const database: SimulatedDatabase = { session, isAway: false, onCall: invariants.afterCall };
  const finish = (end: Pick<SimulationResult, 'violation' | 'error'>): SimulationResult => ({
    seed,
    ...end,
    steps,
    simulatedMs: timeline.nowMs - plan.startMs,
    counts: { ...trace.counts, ...invariants.counts },
    hash: trace.hash(),
    lastLines: trace.lastLines(),
  });

  // A rejection that the product handles nowhere ends a process: here it ends the simulation.
  let unhandled: unknown = null;
  const onUnhandled = (reason: unknown): void => {
    unhandled ??= reason;
  };
  process.on('unhandledRejection', onUnhandled);

  try {
    // Loading a module takes real time, and only once.
    await Promise.all(jobs.map((job) => job.loadHandler()));
    await populate(plan, session);
    const parts = {
      plan,
      timeline,
      world,
      random,
      strikes,
      record,
      latencyMsMax: plan.unipileMsMax,
      database,
      sabotage,
      onLog: invariants.onLog,
      onWrite: invariants.onWrite,
    };
    const machines = Array.from({ length: plan.machines }, (_, index) =>
      createMachine(`m${index + 1}`, parts),
    );
    const people = createPeople({ ...parts, machines, invariants });
    const until = async (untilMs: number): Promise<void> => {
      while (await timeline.step(untilMs)) {
        steps += 1;
        if (steps > STEPS_MAX) throw new Error(`it does not end: ${STEPS_MAX} steps`);
        if (unhandled !== null) throw unhandled;
        invariants.afterStep();
      }
    };
    triggerThrough(plan, { timeline, random, machines, strikes, record });
    people.begin();
    await until(plan.calmFromMs);

    record('nothing goes wrong from now on');
    isCalm = true;
    // The sandbox draws those itself. It lists them in their order.
    for (const [index, { hits }] of world.faults().entries()) {
      for (let hit = 0; hit < hits; hit += 1) record(`fault: ${faults[index]?.[0]}`);
    }
    world.clearFaults();
    for (const machine of machines) machine.setClock(0);
    await until(plan.calmFromMs + 10 * MINUTE_MS);
    await people.setRight();
    triggerInCalm({ timeline, random, machines });
    await until(plan.calmFromMs + 10 * MINUTE_MS + CALM_MS);
    // A run ends when nothing more can go before its horizon: so nothing may be left that could.
    for (const [job] of CADENCE) trigger({ timeline, random, machines }, job, timeline.now());
    do await until(timeline.nowMs + MINUTE_MS);
    while ((await invariants.hasActiveRuns()) && timeline.nowMs < plan.calmFromMs + 2 * CALM_MS);
    await invariants.finalCheck();
    return finish({ violation: null, error: null });
  } catch (error) {
    const { name, message, stack } = error as Error;
    return finish(
      name === 'InvariantViolation'
        ? { violation: message, error: null }
        : { violation: null, error: String(stack) },
    );
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
}

/** RevOS's accounts and posts, and our policies; all else is empty. */
async function populate(plan: Plan, session: Session): Promise<void> {
  await session.reset();
  session.clock.now = new Date(plan.startMs);
  for (const { id, unipileId, policy, posts } of plan.accounts) {
    await session.query(
      'insert into public.linkedin_accounts (id, account_name, unipile_account_id) values ($1, $2, $2)',
      [id, unipileId],
    );
    await session.rpc.call('account_policy_set', { account_id: id, patch: policy });
    for (const { text, scheduledForMs } of posts) {
      await session.query(
        `insert into public.posts (linkedin_account_id, content, status, scheduled_for) values ($1, $2, 'scheduled', $3)`,
        [id, text, new Date(scheduledForMs).toISOString()],
      );
    }
  }
}

interface TriggerParts {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly machines: readonly Machine[];
}

/** Asks some machine that is up for the run of a slot, as Vercel's cron does: again while nobody answers. */
function trigger(
  { timeline, random, machines }: TriggerParts,
  jobName: string,
  slot: Date,
  triesLeft = 5,
): void {
  const job = jobs.find(({ name }) => name === jobName);
  if (job === undefined) throw new Error(`no such job: ${jobName}`);
  const again = (): void => {
    if (triesLeft > 0)
      timeline.in(30_000, () => trigger({ timeline, random, machines }, jobName, slot, triesLeft - 1));
  };
  const up = machines.filter((machine) => machine.isUp());
  if (up.length === 0) {
    again();
    return;
  }
  const machine = random.pick(up);
  machine.deliver(random.integer(5, 2_000), () => {
    const request = { job, trigger: 'vercel-cron', scheduledFor: slot, requestedBy: 'cron' } as const;
    machine
      .runs()
      ?.start(request)
      .catch((error: unknown) => {
        if (!(error instanceof RpcError) || error.kind === 'bug') throw error;
        again();
      });
  });
}

const SLOT_MS = 15 * MINUTE_MS;

const CADENCE = [
  ['dm-queue', 1],
  ['post-scheduler', 0.5],
  ['reconcile', 0.5],
] as const;

/** Slots of each job, at random through the days: lost, late, and twice as the faults have it. */
function triggerThrough(
  plan: Plan,
  parts: TriggerParts & { readonly strikes: (name: FaultName) => boolean; readonly record: RecordEvent },
): void {
  const { timeline, random, strikes } = parts;
  const slots = (plan.calmFromMs - plan.startMs) / SLOT_MS;
  for (const [job, share] of CADENCE) {
    for (let index = 0; index < slots; index += 1) {
      if (!random.chance((plan.triggersPerDay * share * SLOT_MS) / DAY_MS)) continue;
      const slot = new Date((Math.ceil(plan.startMs / SLOT_MS) + index) * SLOT_MS);
      timeline.in(slot.getTime() - plan.startMs, () => {
        if (strikes('trigger lost')) return;
        const lateMs = (): number => (strikes('trigger late') ? random.integer(0, 20 * MINUTE_MS) : 0);
        parts.record('a trigger', `${job} for ${slot.toISOString()}`);
        timeline.in(lateMs(), () => trigger(parts, job, slot));
        if (strikes('trigger twice')) timeline.in(lateMs(), () => trigger(parts, job, slot));
      });
    }
  }
}

/** Every half an hour, of every job that sends and of the reconciler. */
function triggerInCalm(parts: TriggerParts): void {
  const { timeline } = parts;
  for (let passedMs = 0; passedMs < CALM_MS; passedMs += 2 * SLOT_MS) {
    timeline.in(passedMs, () => {
      const slot = new Date(Math.floor(timeline.nowMs / SLOT_MS) * SLOT_MS);
      for (const [job] of CADENCE) trigger(parts, job, slot);
    });
  }
}
