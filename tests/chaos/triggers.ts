/** Whoever asks for runs: two cron services that know nothing of each other, and an operator. */
import { setTimeout as wait } from 'node:timers/promises';
import { signTrigger } from '@revos/core/signing';
import type { Random } from '../support/random.ts';
import type { Cluster } from './cluster.ts';
import { CREDENTIALS } from './stack.ts';

const TIMEOUT_MS = 10_000;

/** As SCHEDULES.faults has them. */
const SLOT_MS = 2_000;
const JOBS = ['dm-queue', 'post-scheduler'] as const;

export interface Triggers {
  /** Signed triggers that were answered with a run. */
  readonly answered: number;
  /** Of them, those for a slot that had been answered before. */
  readonly repeated: number;
  /** The runs that answers named, by job and slot. */
  readonly runsBySlot: ReadonlyMap<string, ReadonlySet<string>>;
  /** Asks for every slot until `signal` aborts; start it twice to have every slot asked for twice. */
  cron(cluster: Cluster, random: Random, signal: AbortSignal): Promise<void>;
  /**
   * Asks one process, as an operator, for a run of its own beside the slots' runs: so that every
   * process works. Resolves to whether it was taken.
   */
  scopedRun(url: string): Promise<boolean>;
  /** Asks for a run as an operator and waits for its end. Resolves to false if there was no answer. */
  runToEnd(url: string, job: string): Promise<boolean>;
}

export function createTriggers(): Triggers {
  const runsBySlot = new Map<string, Set<string>>();
  let answered = 0;
  let repeated = 0;

  const ask = async (
    url: string,
    job: string,
    init: RequestInit,
    timeoutMs: number,
  ): Promise<string | null> => {
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetch(`${url}/api/jobs/${job}`, { method: 'POST', signal, ...init });
      const body = (await response.json()) as { run?: { id: string } };
      if (!response.ok || body.run === undefined) return null;
      return body.run.id;
    } catch {
      // It was killed, or its database was: whoever asks comes again.
      return null;
    }
  };

  const askForSlot = async (url: string, job: string, slot: Date): Promise<void> => {
    const trigger = { job, scheduled_for: slot.toISOString(), trigger: 'vercel-cron' } as const;
    const signed = signTrigger(trigger, [CREDENTIALS.signingSecret], new Date());
    const headers = { ...signed.headers, authorization: `Bearer ${CREDENTIALS.cronToken}` };
    const run = await ask(url, job, { headers, body: signed.body }, TIMEOUT_MS);
    if (run === null) return;
    answered += 1;
    const key = `${job} at ${trigger.scheduled_for}`;
    if (runsBySlot.has(key)) repeated += 1;
    runsBySlot.set(key, (runsBySlot.get(key) ?? new Set()).add(run));
  };

  const asOperator = { authorization: `Bearer ${CREDENTIALS.opsToken}` };

  return {
    get answered() {
      return answered;
    },
    get repeated() {
      return repeated;
    },
    runsBySlot,
    async cron(cluster, random, signal) {
      const asked = new Set<Promise<void>>();
      while (!signal.aborted) {
        const slot = new Date(Math.floor(Date.now() / SLOT_MS) * SLOT_MS);
        for (const job of JOBS) {
          const listening = cluster.listening();
          const url = listening.length === 0 ? null : random.pick(listening).url();
          if (url === null) continue;
          const asking = askForSlot(url, job, slot).finally(() => asked.delete(asking));
          asked.add(asking);
        }
        await wait(slot.getTime() + SLOT_MS + random.integer(0, 300) - Date.now());
      }
      await Promise.all(asked);
    },
    async scopedRun(url) {
      const headers = { ...asOperator, 'content-type': 'application/json' };
      const body = JSON.stringify({ limit: 100_000 });
      return (await ask(url, 'dm-queue', { headers, body }, TIMEOUT_MS)) !== null;
    },
    async runToEnd(url, job) {
      const headers = { ...asOperator, prefer: 'wait=60' };
      return (await ask(url, job, { headers }, 75_000)) !== null;
    },
  };
}
