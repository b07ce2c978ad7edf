import type { Sandbox, SandboxOptions } from '@revos/unipile-sandbox';
import { dmQueue } from '../../src/dm/index.ts';
import { type SimulatedEffects, simulatedEffects } from '../../src/effects/index.ts';
import type { JobSettings, Run, RunParams } from '../../src/jobs/index.ts';
import { type Rpc, withClock } from '../../src/rpc/index.ts';
import { type Intercept, intercepted, makeAccount, messagesOf, type TestDatabase } from './database.ts';
import { createDriver, type Driver } from './driving.ts';
import { DEFAULT_SETTINGS, type System, systemOf } from './jobs.ts';
import { clientForTest, sandboxForTest } from './sandbox.ts';

/** A Monday morning, a second after a slot. */
export const START = new Date('2026-03-02T10:00:01.000Z');

export interface CampaignOptions {
  /** How many messages each account has waiting. */
  readonly messages: Readonly<Record<string, number>>;
  /** What differs from an account that may send at any time and without a gap. */
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly sandbox?: SandboxOptions;
  readonly intercept?: Intercept;
  readonly sendConcurrency?: number;
  readonly apiKey?: string;
  readonly timeoutMs?: number;
  readonly settings?: Partial<JobSettings>;
  /** Where the process is ended at a given instant: so long after a run was taken up. */
  readonly endsInMs?: number;
  /** What stands before the number in each message. */
  readonly text?: string;
}

export interface Message {
  readonly id: string;
  readonly account: string;
  readonly message: string;
  readonly status: string;
  readonly reason: string | null;
  readonly error: string | null;
  readonly attempts: number;
}

export interface Attempt {
  readonly message: string;
  readonly outcome: string | null;
  readonly http_status: number | null;
  readonly error_type: string | null;
}

/** One process, a database and a world of LinkedIn, in simulated time. */
export interface Campaign {
  readonly effects: SimulatedEffects;
  readonly driver: Driver;
  readonly sandbox: Sandbox;
  readonly system: System;
  /** Past the test's own interception. */
  readonly rpc: Rpc;
  /** One run of the queue, up to its end. */
  run(params?: RunParams): Promise<Run>;
  messages(): Promise<readonly Message[]>;
  attempts(): Promise<readonly Attempt[]>;
  /** What LinkedIn's users saw, in order. */
  delivered(): readonly string[];
  accountId(name: string): string;
}

export async function campaignOf(db: TestDatabase, options: CampaignOptions): Promise<Campaign> {
  const effects = simulatedEffects(START);
  const driver = createDriver(effects);
  const names = Object.keys(options.messages);
  const sandbox = await sandboxForTest({
    now: effects.now,
    accounts: names.map((id) => ({ id })),
    ...options.sandbox,
  });
  const { apiKey = sandbox.apiKey, timeoutMs = 5_000 } = options;
  const rpc = withClock(driver.rpc(db.rpc), effects.now);
  const system = systemOf(
    [dmQueue],
    intercepted(rpc, options.intercept ?? ((_name, next) => next())),
    effects,
    {
      unipile: driver.unipile(clientForTest(sandbox, { apiKey, timeoutMs })),
      sendConcurrency: options.sendConcurrency ?? 10,
      settings: { ...DEFAULT_SETTINGS, ...options.settings },
    },
    options.endsInMs,
  );

  const ids = new Map<string, string>();
  for (const [name, count] of Object.entries(options.messages)) {
    const id = await makeAccount(db, name, options.policy);
    ids.set(name, id);
    await rpc.call('dm_enqueue', { rows: messagesOf(id, count, `${options.text ?? ''}${name} `) });
  }

  return {
    effects,
    driver,
    sandbox,
    system,
    rpc,
    async run(params) {
      const { id } = await system.start(dmQueue, params);
      return driver.untilEnd(system.ended(id));
    },
    async messages() {
      return (await db.query(
        `select message.id, account.account_name as account, message.message, message.status, message.reason,
           message.error, message.attempts
         from public.dm_queue as message
         join public.linkedin_accounts as account on account.id = message.linkedin_account_id
         order by message.position`,
        [],
      )) as unknown as Message[];
    },
    async attempts() {
      return (await db.query(
        `select message.message, attempt.outcome, attempt.http_status, attempt.error_type
         from public.dm_attempts as attempt
         join public.dm_queue as message on message.id = attempt.message_id
         order by attempt.started_at, message.position`,
        [],
      )) as unknown as Attempt[];
    },
    delivered: () => sandbox.world.effects().map(({ text }) => text),
    accountId: (name) => ids.get(name) ?? '',
  };
}
