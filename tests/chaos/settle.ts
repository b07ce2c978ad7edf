/**
 * The calm after the storm: nothing fails any more, and everything must come to an end within a few rounds.
 *
 * Each round a few processes work until there is nothing to do; then time moves on by half an hour, as in the nights.
 */
import { isSettled } from './judge.ts';
import { readLeftovers, readRows } from './ledger.ts';
import type { EngineName, ProcessKind } from './plan.ts';
import { passTime, type Storm } from './storm.ts';

/** What a storm has, without what draws it. */
export type Calm = Omit<Storm, 'streams'>;

/** An unknown is looked for, believed absent, sent once more, and may be unknown again: each takes a round. */
const ROUNDS_MAX = 8;
const MINUTES = 31;

/** Rounds that change nothing, after which nothing will: an unknown that is absent takes one to be believed. */
const IDLE_ROUNDS_MAX = 3;

/** How long a process may take to end, in milliseconds. */
const STOP_MS_MAX = 15_000;

/** Runs of each job in a round: a run ends with its slot although there is more to do. */
const RUNS_MAX = 20;

/** Resolves to how many rounds it took; also when something would not settle, which the judge then tells. */
export async function settle(calm: Calm): Promise<number> {
  let idleRounds = 0;
  let before = Number.POSITIVE_INFINITY;
  for (let round = 1; ; round += 1) {
    await passTime(calm, MINUTES);
    const left = await playRound(calm);
    calm.onStep(`Calm, round ${round}: ${left} left to settle`);
    idleRounds = left === before ? idleRounds + 1 : 0;
    before = left;
    if (left === 0 || round === ROUNDS_MAX || idleRounds === IDLE_ROUNDS_MAX) return round;
  }
}

/** Two processes at each task: with BullMQ to trigger and to work, else to do both. */
const KINDS: Readonly<Record<EngineName, readonly ProcessKind[]>> = {
  'in-process': ['server', 'server'],
  bullmq: ['server', 'server', 'worker', 'worker'],
};

/** Some processes work until nothing changes, and end. Resolves to how much has not settled. */
async function playRound(calm: Calm): Promise<number> {
  const instances = KINDS[calm.form.engine].map((kind) => calm.fleet.start(kind));
  await Promise.all(instances.map(({ ready }) => ready));
  const servers = instances.filter(({ kind }) => kind === 'server');
  const left = await workUntilIdle(
    calm,
    servers.map((server) => server.url()),
  );
  await Promise.all(instances.map((instance) => instance.stop(STOP_MS_MAX)));
  return left;
}

/** Runs every job until that changes nothing; resolves to how much has not settled. */
async function workUntilIdle(calm: Calm, urls: readonly (string | null)[]): Promise<number> {
  const { triggers } = calm;
  let left = Number.POSITIVE_INFINITY;
  for (let runs = 1; runs <= RUNS_MAX; runs += 1) {
    const jobs = ['dm-queue', 'post-scheduler', 'reconcile'];
    await Promise.all(
      jobs.map((job, index) => {
        const url = urls[(index + runs) % urls.length];
        return url === null || url === undefined ? false : triggers.runToEnd(url, job);
      }),
    );
    const now = await countUnsettled(calm);
    if (now === 0 || now === left) return now;
    left = now;
  }
  return left;
}

/** Runs that are under way are not looked at: the scheduler begins one at any time. */
async function countUnsettled({ database, campaign }: Calm): Promise<number> {
  const rows = await readRows(database, campaign);
  const leftovers = await readLeftovers(database);
  return (
    rows.filter((row) => !isSettled(row)).length + leftovers.filter((what) => !what.startsWith('run ')).length
  );
}
