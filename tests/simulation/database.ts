/**
 * The database of the simulation: the real SQL functions on PGlite, under the timeline's clock, and
 * the way there, on which calls and answers are lost.
 */
import { type Rpc, RpcError } from '@revos/core/rpc';
import type { Session } from '../support/session.ts';
import type { Machine, MachineParts } from './machine.ts';

export interface SimulatedDatabase {
  readonly session: Session;
  /** Whether it answers anybody at the moment. */
  isAway: boolean;
  /** Told of every call that was carried out, before anybody has its answer. */
  onCall: (name: string, args: Readonly<Record<string, unknown>>, answer: unknown) => Promise<void>;
}

/** Carries out a call, now. */
export async function perform(
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

/** Nothing at all; a statement cut off, a deadlock, no connection free, a restart. */
const NO_ANSWERS = ['', '57014', '40P01', '53300', '57P01'];

/** The database as one machine reaches it. */
export function rpcOf(machine: Pick<Machine, 'deliver' | 'name'>, parts: MachineParts): Rpc {
  const { timeline, random, database, strikes, record } = parts;
  const travelMs = (): number => random.integer(1, parts.plan.databaseMsMax);
  const call = (name: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const lost = (afterMs: number): void =>
        machine.deliver(afterMs, () =>
          reject(
            new RpcError(
              'unavailable',
              name,
              random.pick(NO_ANSWERS),
              'simulated: no answer from the database',
            ),
          ),
        );
      const carryOut = async (isHeard: boolean): Promise<void> => {
        if (database.isAway) return isHeard ? lost(random.integer(1, 200)) : undefined;
        try {
          const answer = await perform(database, timeline.now(), name, args);
          record(name, `${machine.name}: ${summaryOf(answer)}`);
          if (isHeard) machine.deliver(travelMs(), () => resolve(answer));
        } catch (error) {
          if (!(error instanceof RpcError) || error.kind === 'bug') throw error;
          record(`refused: ${name}, ${error.code}`, machine.name);
          if (isHeard) machine.deliver(travelMs(), () => reject(error));
        }
      };
      if (strikes('call lost')) return lost(random.integer(1, 20_000));
      const isHeard = !strikes('answer of the database lost');
      // One that will not be answered may be carried out long after it was given up.
      const arrivesInMs = strikes('call carried out late') ? random.integer(1_000, 40_000) : travelMs();
      if (!isHeard) lost(random.integer(20, 20_000));
      timeline.in(arrivesInMs, () => carryOut(isHeard));
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
