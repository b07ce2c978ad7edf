/** A thread that runs simulations: it answers each task with its result, and ends at null. */
import { parentPort } from 'node:worker_threads';
import { readMigrations } from '@revos/local-stack';
import { readZones } from '../property/world.ts';
import type { Session } from '../support/session.ts';
import { MUTATIONS, type Mutation, mutate } from './mutations.ts';
import { openSession } from './open-session.ts';
import { type SimulationResult, simulate } from './simulate.ts';

export interface Task {
  readonly seed: number;
  /** Its index in the list, or null: the product as it is. */
  readonly mutation: number | null;
}

export interface TaskDone {
  readonly task: Task;
  readonly result: SimulationResult;
}

if (parentPort === null) throw new Error('this is a worker');
const port = parentPort;

/** Kept for as long as tasks have the same mutation. */
let environment: {
  index: number | null;
  mutation: Mutation | null;
  session: Session;
  zones: readonly string[];
} | null = null;

async function environmentFor(index: number | null): Promise<NonNullable<typeof environment>> {
  if (environment?.index === index) return environment;
  await environment?.session.close();
  const mutation = index === null ? null : (MUTATIONS[index] ?? null);
  const migrations = await readMigrations();
  const session = await openSession(mutation === null ? migrations : mutate(migrations, mutation));
  environment = { index, mutation, session, zones: await readZones(session.query) };
  return environment;
}

port.on('message', async (task: Task | null) => {
  if (task === null) {
    await environment?.session.close();
    port.close();
    return;
  }
  const { session, zones, mutation } = await environmentFor(task.mutation);
  port.postMessage({ task, result: await simulate(task.seed, session, zones, mutation) } satisfies TaskDone);
});
port.postMessage('ready');
