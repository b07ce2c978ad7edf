/** The jobs API over HTTP: the real application, SQL functions on PGlite, and the sandbox for LinkedIn. */
import type { AddressInfo } from 'node:net';
import { createAnalytics } from '@revos/core/analytics';
import { realEffects } from '@revos/core/effects';
import { createInProcessEngine, createRunStore, createRuns, type JobServices } from '@revos/core/jobs';
import { createMediaFetcher } from '@revos/core/media';
import { jobs } from '@revos/core/registry';
import { createSqlRpc, type Rpc, type SqlQuery } from '@revos/core/rpc';
import { createLogger } from '@revos/core/telemetry';
import { createUnipileV1 } from '@revos/core/unipile';
import { type Sandbox, startSandbox } from '@revos/unipile-sandbox';
import { openServiceDatabase } from '../../../../tests/support/service-database.ts';
import { buildApp } from '../../../jobs-api/src/app.ts';
import { failingJob, type GatedJob, gatedJob } from '../../../jobs-api/test/support/jobs.ts';

export const OPS_TOKEN = 'ops-token-0123456789';

export interface System {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly rpc: Rpc;
  readonly query: SqlQuery;
  readonly sandbox: Sandbox;
  /** The job `gated`; a new gate each time it is asked for. */
  closeGate(): GatedJob;
  close(): Promise<void>;
}

const LATE_LIMIT_MINUTES = 360;

export async function startSystem(): Promise<System> {
  const db = await openServiceDatabase();
  const { query } = db;
  const rpc = createSqlRpc(query);
  const sandbox = await startSandbox();
  const logger = createLogger('jobs-api', 'silent');
  const services: JobServices = {
    effects: realEffects,
    rpc,
    unipile: createUnipileV1({ dsn: sandbox.url, apiKey: sandbox.apiKey }),
    media: createMediaFetcher({ allowedOrigins: [] }),
    settings: { unknownPolicy: 'hold', postLateLimitMinutes: LATE_LIMIT_MINUTES },
    logger,
    worker: 'jobs-api@test',
    sendConcurrency: 5,
  };
  let gate = gatedJob('gated');
  const known = [
    ...jobs,
    failingJob('failing'),
    { ...gate.definition, loadHandler: () => gate.definition.loadHandler() },
  ];
  const store = createRunStore(rpc);
  const engine = createInProcessEngine(known, store, services);
  const app = await buildApp({
    jobs: known,
    runs: createRuns(store, engine, realEffects),
    engine,
    rpc,
    analytics: createAnalytics(rpc, { effects: realEffects, logger }),
    effects: realEffects,
    logger,
    credentials: {
      cronTokens: ['cron-token-0123456789'],
      opsTokens: [['anna', OPS_TOKEN]],
      signingSecrets: [],
    },
    postLateLimitMinutes: LATE_LIMIT_MINUTES,
    version: '1.2.3',
    shutdownGraceMs: 1_000,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    rpc,
    query,
    sandbox,
    closeGate() {
      gate = gatedJob('gated');
      return gate;
    },
    async close() {
      await app.close();
      await services.unipile.close();
      await services.media.close();
      await sandbox.close();
      await db.close();
    },
  };
}

/** Open around the clock, without a gap. */
const UNHINDERED = {
  window_start: '00:00',
  window_end: '24:00',
  work_days: [1, 2, 3, 4, 5, 6, 7],
  gap_min_s: 0,
  gap_max_s: 0,
};

/** Makes an account that may send, and gives its id. */
export async function makeAccount({ rpc, query, sandbox }: System, name: string): Promise<string> {
  const { id: unipileId } = sandbox.world.declareAccount({ name });
  const [account] = await query(
    'insert into public.linkedin_accounts (account_name, unipile_account_id) values ($1, $2) returning id',
    [name, unipileId],
  );
  const id = String(account?.id);
  await rpc.call('account_policy_set', { account_id: id, patch: UNHINDERED });
  return id;
}

/** Queues messages to recipients `<prefix>0`, `<prefix>1` …, and gives their ids in order. */
export async function queue(
  { rpc }: System,
  accountId: string,
  prefix: string,
  count: number,
  more: Readonly<Record<string, unknown>> = {},
): Promise<string[]> {
  const rows = Array.from({ length: count }, (_, index) => ({
    linkedin_account_id: accountId,
    recipient_id: `ACoAA${prefix}${index}`,
    message: `A secret for ${prefix}${index}`,
    ...more,
  }));
  const { messages } = await rpc.call<{ messages: Array<{ id: string }> }>('dm_enqueue', { rows });
  return messages.map(({ id }) => id);
}

interface Claim {
  readonly items: ReadonlyArray<{ attempt_id: string; message_id: string }>;
}

/** Claims the next message of an account, and says what became of it. */
export async function attempt(
  { rpc }: System,
  accountId: string,
  result: Readonly<Record<string, unknown>>,
): Promise<string> {
  const claim = await rpc.call<Claim>('dm_claim', {
    worker: 'test',
    limit: 1,
    lease_ms: 120_000,
    account_ids: [accountId],
  });
  const [claimed] = claim.items;
  if (claimed === undefined) throw new Error('nothing could be claimed');
  await rpc.call('dm_record', { results: [{ attempt_id: claimed.attempt_id, ...result }] });
  return claimed.message_id;
}

/** A post as RevOS makes it. */
export async function makePost(
  { query }: System,
  accountId: string,
  scheduledFor: string,
  content = 'A post',
): Promise<string> {
  const [post] = await query(
    `insert into public.posts (linkedin_account_id, content, status, scheduled_for)
     values ($1, $2, 'scheduled', $3) returning id`,
    [accountId, content, scheduledFor],
  );
  return String(post?.id);
}
