/**
 * Recovery: nothing fails any more, and everything must come to an end within a few passes.
 *
 * Each pass a few processes work until there is nothing to do; then time moves on by half an hour,
 * as in a time skip.
 */

import { type FaultPhase, passTime } from './fault-phase.ts';
import { isSettled } from './judge.ts';
import { readLeftovers, readRows } from './ledger.ts';
import type { EngineName, ProcessKind } from './plan.ts';

/** What the fault phase has, without what draws it. */
export type Recovery = Omit<FaultPhase, 'streams'>;

/** An unknown is looked for, believed absent, sent once more, and may be unknown again: each takes a pass. */
const PASSES_MAX = 8;
const MINUTES = 31;

/**
 * Passes that change nothing, after which nothing will: an unknown that is absent takes one to be
 * believed.
 */
const IDLE_PASSES_MAX = 3;

/** How long a process may take to end, in milliseconds. */
const STOP_MS_MAX = 15_000;

/** Runs of each job in a pass: a run ends with its slot although there is more to do. */
const RUNS_MAX = 20;

/** Resolves to how many passes it took; also when something would not settle, which the judge then tells. */
export async function recover(recovery: Recovery): Promise<number> {
  let idlePasses = 0;
  let before = Number.POSITIVE_INFINITY;
  for (let pass = 1; ; pass += 1) {
    await passTime(recovery, MINUTES);
    const left = await runPass(recovery);
    recovery.onStep(`Recovery, pass ${pass}: ${left} left to settle`);
    idlePasses = left === before ? idlePasses + 1 : 0;
    before = left;
    if (left === 0 || pass === PASSES_MAX || idlePasses === IDLE_PASSES_MAX) return pass;
  }
}

/** Two processes at each task: with BullMQ to trigger and to work, else to do both. */
const KINDS: Readonly<Record<EngineName, readonly ProcessKind[]>> = {
  'in-process': ['server', 'server'],
  bullmq: ['server', 'server', 'worker', 'worker'],
};

/** Some processes work until nothing changes, and end. Resolves to how much has not settled. */
async function runPass(recovery: Recovery): Promise<number> {
  const instances = KINDS[recovery.form.engine].map((kind) => recovery.cluster.start(kind));
  await Promise.all(instances.map(({ ready }) => ready));
  const servers = instances.filter(({ kind }) => kind === 'server');
  const left = await workUntilIdle(
    recovery,
    servers.map((server) => server.url()),
  );
  await Promise.all(instances.map((instance) => instance.stop(STOP_MS_MAX)));
  return left;
}

/** Runs every job until that changes nothing; resolves to how much has not settled. */
async function workUntilIdle(recovery: Recovery, urls: readonly (string | null)[]): Promise<number> {
  const { triggers } = recovery;
  let left = Number.POSITIVE_INFINITY;
  for (let runs = 1; runs <= RUNS_MAX; runs += 1) {
    const jobs = ['dm-queue', 'post-scheduler', 'reconcile'];
    await Promise.all(
      jobs.map((job, index) => {
        const url = urls[(index + runs) % urls.length];
        return url === null || url === undefined ? false : triggers.runToEnd(url, job);
      }),
    );
    const now = await countUnsettled(recovery);
    if (now === 0 || now === left) return now;
    left = now;
  }
  return left;
}

/** Runs that are under way are not looked at: the scheduler begins one at any time. */
async function countUnsettled({ database, campaign }: Recovery): Promise<number> {
  const rows = await readRows(database, campaign);
  const leftovers = await readLeftovers(database);
  return (
    rows.filter((row) => !isSettled(row)).length + leftovers.filter((what) => !what.startsWith('run ')).length
  );
}
