/**
 * The meters: every metric of ours, with its name, unit, labels and help. docs/metrics.md lists the same.
 *
 * Two registries: what this process has seen, and what the database says of the whole deployment.
 * The second is left out of a scrape that the database did not answer. No label holds an id, a name
 * of a person or account, or a text, and each takes its values from a fixed list. The job of a run
 * is `job_name`: `job` is Prometheus's own label for what it scrapes.
 */
import type { JobDefinition } from '@revos/core/jobs';
import { RunStatus } from '@revos/core/jobs';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export const KINDS = ['message', 'post'] as const;
export type Kind = (typeof KINDS)[number];

const RESOLUTIONS = ['sent', 'waiting', 'held', 'unknown', 'ignored'] as const;

/** How long ago what is unknown was tried: up to so long, and not counted in a class before. */
export const AGES = ['5m', '30m', '2h', '1d', 'older'] as const;

/** Why an account is paused; `person`: whatever a person wrote. */
export const PAUSES = [
  'breaker',
  'rate_limited',
  'account_disconnected',
  'account_restricted',
  'account_missing',
  'person',
] as const;

export const BLOCKS = ['account_missing', 'account_inactive', 'account_not_connected'] as const;

/** Of the day's limit, what an account has used. */
export const SHARES = ['0%', '1-25%', '26-50%', '51-75%', '76-99%', '100%'] as const;

export const QUEUE_STATES = ['waiting', 'prioritized', 'delayed', 'active', 'failed'] as const;

/** What Unipile is asked for. */
const OPERATIONS = ['send_message', 'create_post', 'find_message', 'find_post', 'read_post'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What is done again because it did not come to an answer. */
const REPEATS = ['database_call', 'unipile_read'] as const;

const RUN_STATUSES = RunStatus.anyOf.map(({ const: status }) => status);
const ENDED = RUN_STATUSES.filter((status) => status !== 'queued' && status !== 'running');

/** Gauges that the library gives names of counters; the ones without `_total`, by type, say the same. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Ends every help of a number that each process reads by itself. */
const SHARED = ' Of the deployment: every process tells the same, so take max, not sum.';

const LATENESS_BUCKETS_S = [1, 5, 15, 30, 60, 120, 300, 600, 1_800];
const RUN_BUCKETS_S = [1, 5, 15, 60, 180, 300, 600, 900, 1_800, 3_600];
const UNIPILE_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120];
const DATABASE_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];

export interface MetersOptions {
  readonly jobs: readonly Pick<JobDefinition, 'name'>[];
  readonly version: string;
  readonly commit: string | undefined;
}

export type Meters = ReturnType<typeof createMeters>;

export function createMeters({ jobs, version, commit }: MetersOptions) {
  const [ofProcess, ofDeployment] = [new Registry(), new Registry()];
  const own = { registers: [ofProcess] };
  const shared = { registers: [ofDeployment] };
  collectDefaultMetrics({ register: ofProcess });
  for (const name of MISNAMED) ofProcess.removeSingleMetric(name);

  const meters = {
    ofProcess,
    ofDeployment,
    build: new Gauge({
      ...own,
      name: 'revos_build_info',
      help: 'Always 1; the labels say what runs.',
      labelNames: ['version', 'commit'],
    }),
    runsEnded: new Counter({
      ...own,
      name: 'revos_runs_ended_total',
      help: 'Runs whose end this process recorded, by job and how they ended. One whose process died is ended by the database: see revos_job_last_run_status.',
      labelNames: ['job_name', 'status'],
    }),
    runDuration: new Histogram({
      ...own,
      name: 'revos_run_duration_seconds',
      help: 'From the begin of a run to its end.',
      labelNames: ['job_name'],
      buckets: RUN_BUCKETS_S,
    }),
    slotLateness: new Histogram({
      ...own,
      name: 'revos_slot_lateness_seconds',
      help: 'How long after its slot a run was begun.',
      labelNames: ['job_name'],
      buckets: LATENESS_BUCKETS_S,
    }),
    attempts: new Counter({
      ...own,
      name: 'revos_attempts_total',
      help: 'Attempts at a message or post that were recorded: sent, failed, unknown (it may be on LinkedIn), retried (not sent, and goes out later), released (given back without a call), late (somebody else had settled it). The reasons are those of docs/reasons.md; none where there is nothing to say, other where it is not one of them.',
      labelNames: ['kind', 'outcome', 'reason'],
    }),
    reconciliations: new Counter({
      ...own,
      name: 'revos_reconciliations_total',
      help: 'Looks on LinkedIn for what is unknown, by what they came to: sent, waiting (it goes out once more), held (a person decides), unknown (looked for again), ignored (settled meanwhile).',
      labelNames: ['kind', 'resolution'],
    }),
    claimedAhead: new Gauge({
      ...own,
      name: 'revos_claimed_ahead',
      help: 'Messages or posts that this process has claimed, and that wait for a call to end.',
      labelNames: ['job_name'],
    }),
    callsInFlight: new Gauge({
      ...own,
      name: 'revos_unipile_calls_in_flight',
      help: 'Calls to Unipile that are under way in this process; a search of several requests is one.',
      labelNames: ['operation'],
    }),
    unipileCalls: new Histogram({
      ...own,
      name: 'revos_unipile_call_duration_seconds',
      help: 'Calls to Unipile until their answer, by what it was: ok, refused (of this message or post), throttled, account (it cannot send), platform_key, gateway, unreachable (no connection was made), ambiguous (no answer that says what happened).',
      labelNames: ['operation', 'outcome'],
      buckets: UNIPILE_BUCKETS_S,
    }),
    databaseCalls: new Histogram({
      ...own,
      name: 'revos_database_call_duration_seconds',
      help: 'Calls of SQL functions until their answer or failure, repeats included.',
      labelNames: ['function'],
      buckets: DATABASE_BUCKETS_S,
    }),
    databaseErrors: new Counter({
      ...own,
      name: 'revos_database_errors_total',
      help: 'Calls of SQL functions that failed: rule (a rule of ours refused), unavailable (try again later), bug (no retry helps).',
      labelNames: ['function', 'kind'],
    }),
    repeats: new Counter({
      ...own,
      name: 'revos_retries_total',
      help: 'What was asked once more at once: database_call (Postgres undid it so that another could go on), unipile_read (not answered). Messages and posts that are tried again are in revos_attempts_total.',
      labelNames: ['of'],
    }),
    queueSlices: new Gauge({
      ...own,
      name: 'revos_queue_slices',
      help: `Slices of runs in Redis, by state. Only with JOB_ENGINE=bullmq.${SHARED}`,
      labelNames: ['state'],
    }),
    queueUp: new Gauge({
      ...own,
      name: 'revos_queue_up',
      help: 'Whether Redis answered this scrape (1) or not (0). Only with JOB_ENGINE=bullmq.',
      // With a label that has no value: a gauge without labels would be 0 where there is no queue.
      labelNames: ['queue'],
    }),
    databaseUp: new Gauge({
      ...own,
      name: 'revos_database_up',
      help: 'Whether the database answered this scrape in time (1) or not (0): then what is of the deployment is left out.',
    }),

    messagesDue: new Gauge({
      ...shared,
      name: 'revos_messages_due',
      help: `Messages whose time has come, also those that a limit, a window or a pause holds back; of the first 50,000 that wait.${SHARED}`,
    }),
    oldestDueAge: new Gauge({
      ...shared,
      name: 'revos_messages_oldest_due_age_seconds',
      help: `Since when the oldest of them is due; 0 without one. It grows while limits hold a full queue back, which is no fault.${SHARED}`,
    }),
    accountsReady: new Gauge({
      ...shared,
      name: 'revos_accounts_ready',
      help: `Accounts with a due message that nothing holds back, so that a run would send it; up to 200.${SHARED}`,
    }),
    oldestReadyAge: new Gauge({
      ...shared,
      name: 'revos_accounts_oldest_ready_age_seconds',
      help: `Since when the first of them could have sent; 0 without one.${SHARED}`,
    }),
    unknowns: new Gauge({
      ...shared,
      name: 'revos_unknowns',
      help: `Messages and posts that may be on LinkedIn and are looked for there, by how long ago they were tried: within 5m, 30m, 2h, 1d, or older; up to 1,000 of each kind.${SHARED}`,
      labelNames: ['kind', 'age'],
    }),
    unknownsHeld: new Gauge({
      ...shared,
      name: 'revos_unknowns_held',
      help: `Messages and posts that may be on LinkedIn, are not looked for any more, and wait for a person.${SHARED}`,
      labelNames: ['kind'],
    }),
    accounts: new Gauge({
      ...shared,
      name: 'revos_accounts',
      help: `Accounts that have, or had, something to send; the first 2,000.${SHARED}`,
    }),
    accountsPaused: new Gauge({
      ...shared,
      name: 'revos_accounts_paused',
      help: `Accounts that are paused, by why; breaker: after three failures in a row, for half an hour; person: somebody paused it.${SHARED}`,
      labelNames: ['reason'],
    }),
    accountsBlocked: new Gauge({
      ...shared,
      name: 'revos_accounts_blocked',
      help: `Accounts that RevOS has as missing, not active, or not connected to Unipile.${SHARED}`,
      labelNames: ['reason'],
    }),
    dayLimitUsed: new Gauge({
      ...shared,
      name: 'revos_accounts_day_limit_used',
      help: `Accounts by how much of their limit for the day is used.${SHARED}`,
      labelNames: ['used'],
    }),
    sendingPaused: new Gauge({
      ...shared,
      name: 'revos_sending_paused',
      help: `Whether all sending is paused (1) or not (0).${SHARED}`,
    }),
    lastSuccess: new Gauge({
      ...shared,
      name: 'revos_job_last_success_timestamp_seconds',
      help: `When the last run of the job that succeeded ended, in seconds since 1970; no sample if none of the last 200 did.${SHARED}`,
      labelNames: ['job_name'],
    }),
    lastRunStatus: new Gauge({
      ...shared,
      name: 'revos_job_last_run_status',
      help: `1 for the status of the job's last run, 0 for the others; no sample if there never was one.${SHARED}`,
      labelNames: ['job_name', 'status'],
    }),
    slotMissed: new Gauge({
      ...shared,
      name: 'revos_job_slot_missed',
      help: `Whether the job's latest slot is past its grace and no run answers for it (1) or not (0).${SHARED}`,
      labelNames: ['job_name'],
    }),
  };

  meters.build.set({ version, commit: commit ?? 'unknown' }, 1);
  // From 0: an increase from nothing to 1 is none to Prometheus.
  for (const { name: job_name } of jobs) {
    for (const status of ENDED) meters.runsEnded.inc({ job_name, status }, 0);
    meters.runDuration.zero({ job_name });
    meters.slotLateness.zero({ job_name });
    meters.claimedAhead.set({ job_name }, 0);
  }
  for (const kind of KINDS) {
    meters.attempts.inc({ kind, outcome: 'sent', reason: 'none' }, 0);
    for (const resolution of RESOLUTIONS) meters.reconciliations.inc({ kind, resolution }, 0);
  }
  for (const operation of OPERATIONS) meters.callsInFlight.set({ operation }, 0);
  for (const of of REPEATS) meters.repeats.inc({ of }, 0);
  return { ...meters, runStatuses: RUN_STATUSES };
}
