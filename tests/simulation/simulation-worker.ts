/** A thread that runs simulations: given tasks one by one, it posts each one's result, and ends at null. */
import { parentPort } from 'node:worker_threads';
import { readMigrations } from '@revos/local-stack';
import { readZones } from '../property/world.ts';
import type { Session } from '../support/session.ts';
import { openSession } from './open-session.ts';
import { SABOTAGES, type Sabotage, sabotaged } from './sabotages.ts';
import { type SimulationResult, simulate } from './simulate.ts';

export interface Task {
  readonly seed: number;
  /** Its number in the list, or null: the product as it is. */
  readonly sabotage: number | null;
}

export interface TaskDone {
  readonly task: Task;
  readonly result: SimulationResult;
}

if (parentPort === null) throw new Error('this is a worker');
const port = parentPort;

/** Kept for as long as the tasks are of one kind. */
let stage: {
  of: number | null;
  sabotage: Sabotage | null;
  session: Session;
  zones: readonly string[];
} | null = null;

async function stageOf(of: number | null): Promise<NonNullable<typeof stage>> {
  if (stage?.of === of) return stage;
  await stage?.session.close();
  const sabotage = of === null ? null : (SABOTAGES[of] ?? null);
  const migrations = await readMigrations();
  const session = await openSession(sabotage === null ? migrations : sabotaged(migrations, sabotage));
  stage = { of, sabotage, session, zones: await readZones(session.query) };
  return stage;
}

port.on('message', async (task: Task | null) => {
  if (task === null) {
    await stage?.session.close();
    port.close();
    return;
  }
  const { session, zones, sabotage } = await stageOf(task.sabotage);
  port.postMessage({ task, result: await simulate(task.seed, session, zones, sabotage) } satisfies TaskDone);
});
port.postMessage('ready');
