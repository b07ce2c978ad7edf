/**
 * The database of the simulation: the real SQL functions on PGlite, by the timeline's clock, and
 * the simulated connection to it, on which calls and answers are lost.
 */
import { type Rpc, RpcError } from '@revos/core/rpc';
import type { Session } from '../support/session.ts';
import type { Machine, MachineParts } from './machine.ts';

export interface SimulatedDatabase {
  readonly session: Session;
  /** Whether every call fails at the moment. */
  isDown: boolean;
  /** Called after every call that was executed, before its answer is delivered. */
  onCall: (name: string, args: Readonly<Record<string, unknown>>, answer: unknown) => Promise<void>;
}

/** Executes a call, now. */
export async function executeCall(
  database: SimulatedDatabase,
  now: Date,
  name: string,
  args: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  database.session.clock.now = now;
  const answer = await database.session.rpc.call(name, args);
  await database.onCall(name, args, answer);
  return answer;
}

/** No answer at all; a statement cancelled, a deadlock, too many connections, a shutdown. */
const UNAVAILABLE_CODES = ['', '57014', '40P01', '53300', '57P01'];

/** The database as one machine reaches it. */
export function rpcOf(machine: Pick<Machine, 'deliver' | 'name'>, parts: MachineParts): Rpc {
  const { timeline, random, database, shouldInject, record } = parts;
  const travelMs = (): number => random.integer(1, parts.plan.databaseMsMax);
  const call = (name: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const failAfter = (afterMs: number): void =>
        machine.deliver(afterMs, () =>
          reject(
            new RpcError(
              'unavailable',
              name,
              random.pick(UNAVAILABLE_CODES),
              'simulated: no answer from the database',
            ),
          ),
        );
      const execute = async (isAnswered: boolean): Promise<void> => {
        if (database.isDown) return isAnswered ? failAfter(random.integer(1, 200)) : undefined;
        try {
          const answer = await executeCall(database, timeline.now(), name, args);
          record(name, `${machine.name}: ${summaryOf(answer)}`);
          if (isAnswered) machine.deliver(travelMs(), () => resolve(answer));
        } catch (error) {
          if (!(error instanceof RpcError) || error.kind === 'bug') throw error;
          record(`refused: ${name}, ${error.code}`, machine.name);
          if (isAnswered) machine.deliver(travelMs(), () => reject(error));
        }
      };
      if (shouldInject('database call lost')) return failAfter(random.integer(1, 20_000));
      const isAnswered = !shouldInject('database answer lost');
      // A call may be executed long after its sender gave it up.
      const arrivesInMs = shouldInject('database call delayed') ? random.integer(1_000, 40_000) : travelMs();
      if (!isAnswered) failAfter(random.integer(20, 20_000));
      timeline.schedule(arrivesInMs, () => execute(isAnswered));
    });
  return {
    call: async <Result>(name: string, args?: Readonly<Record<string, unknown>>) =>
      (await call(name, args)) as Result,
    close: async () => {},
  };
}

/** What an answer says, for the trace: short, and without message text. */
function summaryOf(answer: unknown): string {
  if (Array.isArray(answer)) return `${answer.length} results`;
  const { items, run, status } = (answer ?? {}) as {
    items?: unknown[];
    run?: { status?: string };
    status?: string;
  };
  if (items !== undefined) return `${items.length} items`;
  return String(run?.status ?? status ?? 'done');
}
