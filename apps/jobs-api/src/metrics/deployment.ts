/** What the database says of the whole deployment, as gauges: `system_metrics` in SQL. */
import type { Effects } from '@revos/core/effects';
import { type JobDefinition, missedSlot, type Run } from '@revos/core/jobs';
import { type Rpc, RpcError } from '@revos/core/rpc';
import type { Logger } from '@revos/core/telemetry';
import { AGES, BLOCKS, KINDS, type Kind, type Meters, PAUSES, SHARES } from './meters.ts';

type Counts = Readonly<Record<string, number>>;

/** The answer of `system_metrics`. Ages in seconds, null where nothing waits. */
interface DeploymentFacts {
  readonly now: string;
  readonly messages: {
    readonly due: number;
    readonly oldest_due_s: number | null;
    readonly ready: number;
    readonly oldest_ready_s: number | null;
  };
  readonly unknowns: Readonly<Record<Kind | 'held', Counts>>;
  readonly accounts: {
    readonly total: number;
    readonly paused: Counts;
    readonly blocked: Counts;
    readonly day_limit_used: Counts;
  };
  readonly all_paused: boolean;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly last_success_s: number | null;
        readonly last_run: Pick<Run, 'status' | 'scheduled_for' | 'requested_at' | 'finished_at'> | null;
      }
    >
  >;
}

export interface DeploymentOptions {
  readonly rpc: Rpc;
  readonly effects: Effects;
  readonly logger: Pick<Logger, 'warn'>;
  readonly jobs: readonly Pick<JobDefinition, 'name' | 'schedule'>[];
}

/** Reads it and sets the gauges; answers whether it could. */
export async function readDeployment(
  meters: Meters,
  { rpc, logger, jobs }: Omit<DeploymentOptions, 'effects'>,
): Promise<boolean> {
  try {
    const facts = await rpc.call<DeploymentFacts>('system_metrics', { jobs: jobs.map(({ name }) => name) });
    setGauges(meters, facts, jobs);
    return true;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    logger.warn({ err: error }, 'deployment metrics unavailable');
    return false;
  }
}

function setGauges(meters: Meters, facts: DeploymentFacts, jobs: DeploymentOptions['jobs']): void {
  const { messages, unknowns, accounts } = facts;
  meters.messagesDue.set(messages.due);
  meters.oldestDueAge.set(messages.oldest_due_s ?? 0);
  meters.accountsReady.set(messages.ready);
  meters.oldestReadyAge.set(messages.oldest_ready_s ?? 0);
  for (const kind of KINDS) {
    for (const age of AGES) meters.unknowns.set({ kind, age }, unknowns[kind][age] ?? 0);
    meters.unknownsHeld.set({ kind }, unknowns.held[kind] ?? 0);
  }
  meters.accounts.set(accounts.total);
  for (const reason of PAUSES) meters.accountsPaused.set({ reason }, accounts.paused[reason] ?? 0);
  for (const reason of BLOCKS) meters.accountsBlocked.set({ reason }, accounts.blocked[reason] ?? 0);
  for (const used of SHARES) meters.dayLimitUsed.set({ used }, accounts.day_limit_used[used] ?? 0);
  meters.sendingPaused.set(facts.all_paused ? 1 : 0);
  meters.lastSuccess.reset();
  meters.lastRunStatus.reset();
  for (const { name: job_name, schedule } of jobs) {
    const { last_success_s = null, last_run = null } = facts.jobs[job_name] ?? {};
    if (last_success_s !== null) meters.lastSuccess.set({ job_name }, last_success_s);
    if (last_run !== null) {
      for (const status of meters.runStatuses) {
        meters.lastRunStatus.set({ job_name, status }, status === last_run.status ? 1 : 0);
      }
    }
    const missed = missedSlot(schedule, last_run, new Date(facts.now));
    meters.slotMissed.set({ job_name }, missed === null ? 0 : 1);
  }
}
