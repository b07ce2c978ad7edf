/** One simulation: the plan of a seed, run to its end or to the first violation of an invariant. */
import { jobs } from '@revos/core/registry';
import { RpcError } from '@revos/core/rpc';
import { createWorld } from '@revos/unipile-sandbox';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../support/builders.ts';
import { createRandom, type Random } from '../support/random.ts';
import type { Session } from '../support/session.ts';
import type { SimulatedDatabase } from './database.ts';
import { createInvariantChecker } from './invariants.ts';
import { createMachine, type Machine } from './machine.ts';
import type { Mutation } from './mutations.ts';
import { type FaultName, type Plan, planSimulation } from './plan.ts';
import { createTimeline, type Timeline } from './timeline.ts';
import { createTrace, type RecordEvent } from './trace.ts';
import { unipileFaults } from './unipile-faults.ts';
import { createWorkload } from './workload.ts';

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

/**
 * The recovery period, without faults, in which everything must settle: the last looks on LinkedIn
 * are two hours apart.
 */
const RECOVERY_MS = 4.5 * HOUR_MS;

/**
 * @param session of a database that may be emptied, migrated with the mutation if there is one
 * @param zones time zones on which the database and this process agree
 */
export async function simulate(
  seed: number,
  session: Session,
  zones: readonly string[],
  mutation: Mutation | null = null,
): Promise<SimulationResult> {
  const plan = planSimulation(seed, zones, mutation?.faults);
  const random = createRandom(seed ^ 0x5eed);
  const timeline = createTimeline(new Date(plan.startMs));
  const { record, ...trace } = createTrace(timeline.now);
  let steps = 0;
  let isRecovering = false;
  const shouldInject = (name: FaultName): boolean => {
    const isInjected = !isRecovering && random.chance(plan.faults[name]);
    if (isInjected) record(`fault: ${name}`);
    return isInjected;
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
  const database: SimulatedDatabase = { session, isDown: false, onCall: invariants.afterCall };
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
      shouldInject,
      record,
      latencyMsMax: plan.unipileMsMax,
      database,
      mutation,
      onLog: invariants.onLog,
      onWrite: invariants.onWrite,
    };
    const machines = Array.from({ length: plan.machines }, (_, index) =>
      createMachine(`m${index + 1}`, parts),
    );
    const workload = createWorkload({ ...parts, machines, invariants });
    const runUntil = async (untilMs: number): Promise<void> => {
      while (await timeline.step(untilMs)) {
        steps += 1;
        if (steps > STEPS_MAX) throw new Error(`the simulation did not end within ${STEPS_MAX} steps`);
        if (unhandled !== null) throw unhandled;
        invariants.afterStep();
      }
    };
    scheduleTriggers(plan, { timeline, random, machines, shouldInject, record });
    workload.start();
    await runUntil(plan.recoveryStartMs);

    record('fault injection stopped');
    isRecovering = true;
    // The sandbox draws its faults itself, and lists them in the order in which they were given.
    for (const [index, { hits }] of world.faults().entries()) {
      for (let hit = 0; hit < hits; hit += 1) record(`fault: ${faults[index]?.[0]}`);
    }
    world.clearFaults();
    for (const machine of machines) machine.setClock(0);
    await runUntil(plan.recoveryStartMs + 10 * MINUTE_MS);
    await workload.repair();
    triggerInRecovery({ timeline, random, machines });
    await runUntil(plan.recoveryStartMs + 10 * MINUTE_MS + RECOVERY_MS);
    // A run ends when nothing more can be sent before its horizon, so nothing sendable may be left.
    for (const [job] of CADENCE) trigger({ timeline, random, machines }, job, timeline.now());
    do await runUntil(timeline.nowMs + MINUTE_MS);
    while ((await invariants.hasActiveRuns()) && timeline.nowMs < plan.recoveryStartMs + 2 * RECOVERY_MS);
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

/** Asks a machine that is up for the run of a slot, as Vercel cron does; retries if unanswered. */
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
      timeline.schedule(30_000, () => trigger({ timeline, random, machines }, jobName, slot, triesLeft - 1));
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

/** Triggers of random slots of each job: some of them lost, delayed or duplicated. */
function scheduleTriggers(
  plan: Plan,
  parts: TriggerParts & { readonly shouldInject: (name: FaultName) => boolean; readonly record: RecordEvent },
): void {
  const { timeline, random, shouldInject } = parts;
  const slots = (plan.recoveryStartMs - plan.startMs) / SLOT_MS;
  for (const [job, share] of CADENCE) {
    for (let index = 0; index < slots; index += 1) {
      if (!random.chance((plan.triggersPerDay * share * SLOT_MS) / DAY_MS)) continue;
      const slot = new Date((Math.ceil(plan.startMs / SLOT_MS) + index) * SLOT_MS);
      timeline.schedule(slot.getTime() - plan.startMs, () => {
        if (shouldInject('trigger lost')) return;
        const lateMs = (): number =>
          shouldInject('trigger delayed') ? random.integer(0, 20 * MINUTE_MS) : 0;
        parts.record('trigger', `${job} for ${slot.toISOString()}`);
        timeline.schedule(lateMs(), () => trigger(parts, job, slot));
        if (shouldInject('trigger duplicated')) timeline.schedule(lateMs(), () => trigger(parts, job, slot));
      });
    }
  }
}

/** Every half hour of the recovery period, of every job that sends and of the reconciler. */
function triggerInRecovery(parts: TriggerParts): void {
  const { timeline } = parts;
  for (let passedMs = 0; passedMs < RECOVERY_MS; passedMs += 2 * SLOT_MS) {
    timeline.schedule(passedMs, () => {
      const slot = new Date(Math.floor(timeline.nowMs / SLOT_MS) * SLOT_MS);
      for (const [job] of CADENCE) trigger(parts, job, slot);
    });
  }
}
