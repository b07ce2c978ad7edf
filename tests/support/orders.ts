/**
 * Stated orders: steps of several sessions at once, of which the first is held in the middle of its
 * transaction.
 *
 * What comes of them must be what comes of the same steps one after the other, in some order.
 * Nothing waits for a clock: each further step goes on until it has ended, or until the database
 * says that it waits for another's lock.
 */
import { pidOf } from './blocked.ts';
import type { Session } from './database.ts';

/** One call, of one session, on a world that was made for it. */
export interface Step<World> {
  readonly name: string;
  /**
   * Its answer where it finds nothing to do. Such a step waits for nobody: what somebody else is at
   * is passed over, and left for its next call.
   */
  readonly nothing?: unknown;
  run(session: Session, world: World): Promise<unknown>;
}

/** How a world begins, and what can happen in it. */
export interface Situation<World> {
  readonly name: string;
  make(session: Session): Promise<World>;
  readonly steps: readonly Step<World>[];
}

export interface Stage {
  /** The first one makes the worlds, and holds; the last one watches. */
  readonly sessions: readonly Session[];
  /** Of another database: there the steps go one after the other, and are undone. */
  readonly serial: Session;
  /** Everything that a world's end is told by, without ids of its own making. */
  read(session: Session): Promise<unknown>;
  /** What is wrong with a world as it is now, whatever led to it. */
  wrongs(session: Session): Promise<string[]>;
}

/**
 * Sessions of a stage: enough for three steps at once, and to watch them. A step that waits in vain
 * is cut off.
 */
export async function openStageSessions(open: () => Promise<Session>): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let count = 0; count < 4; count += 1) {
    const session = await open();
    await session.query(`set statement_timeout = '10s'`, []);
    sessions.push(session);
  }
  return sessions;
}

/**
 * Gives a way to try steps at once, which tells everything that is wrong, a line each: an end that
 * no order of them has (a deadlock is such, and a wait of a step that passes over), and a world
 * that contradicts itself.
 */
export function createOrders<World>(stage: Stage, situation: Situation<World>) {
  let made: Promise<SerialWorld<World>> | undefined;
  const known = new Map<string, Promise<string>>();
  const endOf = async (
    order: readonly Step<World>[],
    passedOver: readonly Step<World>[],
  ): Promise<string> => {
    const key = [order, passedOver].map((steps) => steps.map(({ name }) => name).join(' → ')).join(' | ');
    made ??= makeSerial(stage, situation);
    const end = known.get(key) ?? oneAfterTheOther(stage, await made, order, passedOver);
    known.set(key, end);
    return end;
  };

  return async (steps: readonly Step<World>[]): Promise<string[]> => {
    const what = steps.map(({ name }) => name).join(' ‖ ');
    const { end, wrongs } = await whileHeld(stage, situation, steps);
    let isKnown = false;
    for (const { order, passedOver } of ordersOf(steps)) {
      isKnown ||= (await endOf(order, passedOver)) === end;
    }
    return [
      ...(isKnown ? [] : [`${what}: ends as in no order: ${end}`]),
      ...wrongs.map((wrong) => `${what}: ${wrong}`),
    ];
  };
}

/**
 * Every order of the steps; any of those that pass over may have found nothing that was free, but
 * for the held one.
 */
function* ordersOf<World>(steps: readonly Step<World>[]) {
  const passing = steps.slice(1).filter((step) => 'nothing' in step);
  for (let choice = 0; choice < 2 ** passing.length; choice += 1) {
    const passedOver = passing.filter((_, index) => (choice >> index) & 1);
    const rest = steps.filter((step) => !passedOver.includes(step));
    for (const order of permutations(rest)) yield { order, passedOver };
  }
}

export function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, index) =>
    permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]),
  );
}

/** What a step answered, or what it was refused with. */
export async function answerOf<World>(step: Step<World>, session: Session, world: World): Promise<unknown> {
  try {
    return await step.run(session, world);
  } catch (error) {
    return { threw: (error as { code?: string }).code ?? String(error) };
  }
}

const isRefusal = (answer: unknown): boolean => answer instanceof Object && 'threw' in answer;

type Answers<World> = Map<Step<World>, unknown>;

interface SerialWorld<World> {
  readonly world: World;
  /** As it stood when the world was made. */
  readonly now: Date;
}

async function makeSerial<World>(
  { serial }: Stage,
  situation: Situation<World>,
): Promise<SerialWorld<World>> {
  return { world: await situation.make(serial), now: serial.clock.now };
}

/** In one transaction, which is undone: the world is the same for the next order. */
async function oneAfterTheOther<World>(
  { serial, read }: Stage,
  { world, now }: SerialWorld<World>,
  steps: readonly Step<World>[],
  passedOver: readonly Step<World>[],
): Promise<string> {
  const answers: Answers<World> = new Map(passedOver.map((step) => [step, step.nothing]));
  serial.clock.now = now;
  await serial.query('begin', []);
  try {
    for (const step of steps) {
      await serial.query('savepoint step', []);
      const answer = await answerOf(step, serial, world);
      if (isRefusal(answer)) await serial.query('rollback to savepoint step', []);
      answers.set(step, answer);
    }
    return endAsText(answers, await read(serial));
  } finally {
    await serial.query('rollback', []);
  }
}

/** The first step's transaction is held until each of the others has ended, or waits. */
async function whileHeld<World>(
  { sessions, read, wrongs }: Stage,
  situation: Situation<World>,
  [held, ...others]: readonly Step<World>[],
): Promise<{ end: string; wrongs: readonly string[] }> {
  const [holder, watcher] = [sessions[0], sessions.at(-1)];
  if (!holder || !watcher || !held || sessions.length < others.length + 2) {
    throw new RangeError('too few sessions, or no step');
  }
  for (const session of sessions) await pidOf(session);
  const world = await situation.make(holder);
  await holder.query('begin', []);
  const answers: Answers<World> = new Map([[held, await answerOf(held, holder, world)]]);

  const running: Promise<unknown>[] = [];
  for (const [index, step] of others.entries()) {
    const session = sessions[index + 1] as Session;
    let isDone = false;
    const answered = answerOf(step, session, world).then((answer) => {
      isDone = true;
      answers.set(step, answer);
    });
    running.push(answered);
    // One that passes over ends by itself.
    if ('nothing' in step) await answered;
    else await untilItWaits(session, watcher, () => isDone);
  }
  await holder.query('commit', []);
  await Promise.all(running);
  return { end: endAsText(answers, await read(holder)), wrongs: await wrongs(holder) };
}

export async function untilItWaits(session: Session, watcher: Session, isDone: () => boolean): Promise<void> {
  const pid = await pidOf(session);
  while (!isDone()) {
    const [row] = await watcher.query('select cardinality(pg_blocking_pids($1)) > 0 as waits', [pid]);
    if (row?.waits) return;
  }
}

/** Two ends with the same text are the same. */
function endAsText<World>(answers: Answers<World>, world: unknown): string {
  const named = [...answers].map(([step, answer]) => [step.name, answer] as const);
  named.sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({ answers: Object.fromEntries(named), world }, null, 1);
}
