/**
 * The application over real parts: the SQL functions on PGlite, the in-process engine, jobs of the
 * test's own.
 */
import { createAnalytics } from '@revos/core/analytics';
import { type Effects, realEffects } from '@revos/core/effects';
import {
  createInProcessEngine,
  createRunStore,
  createRuns,
  currentSlot,
  type JobDefinition,
  type Run,
  type RunStore,
  type Runs,
} from '@revos/core/jobs';
import { createMediaFetcher } from '@revos/core/media';
import type { Rpc } from '@revos/core/rpc';
import { type SignedTrigger, signTrigger } from '@revos/core/signing';
import { createLogger, type Logger, NO_TRACES, type Traces } from '@revos/core/telemetry';
import { createUnipileV1 } from '@revos/core/unipile';
import { type App, type AppOptions, buildApp } from '../../src/app.ts';
import type { Limits } from '../../src/limits.ts';
import type { Metrics } from '../../src/metrics/index.ts';
import { pages } from '../../src/pages.ts';
import { QUARTER_HOURLY } from './jobs.ts';

export const CRON_TOKEN = 'cron-token-0123456789';
export const CRON_TOKEN_NEXT = 'cron-token-next-0123456789';
export const OPS_TOKEN = 'ops-token-0123456789';
export const SIGNING_SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
export const SIGNING_SECRET_NEXT = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
export const FOREIGN_SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

/** What no job of these tests calls; the port is closed. */
export const UNUSED_SERVICES = {
  unipile: createUnipileV1({ dsn: 'http://127.0.0.1:9', apiKey: 'none' }),
  media: createMediaFetcher({ allowedOrigins: [] }),
  settings: { unknownPolicy: 'hold', postLateLimitMinutes: 360 },
  worker: 'jobs-api@test',
  sendConcurrency: 1,
} as const;

export interface TestApp {
  readonly app: App;
  readonly runs: Runs;
  readonly store: RunStore;
  readonly logger: Logger;
  /** Every line logged so far. */
  readonly logLines: string[];
}

export interface TestAppOptions {
  readonly rpc: Rpc;
  readonly jobs: readonly JobDefinition[];
  readonly effects?: Effects;
  readonly streamsMax?: number;
  readonly heartbeatMs?: number;
  readonly shutdownGraceMs?: number;
  readonly proxyHops?: number;
  /** Default: so many requests as a test likes; see `UNLIMITED`. */
  readonly limits?: Partial<Limits>;
  readonly credentials?: Partial<AppOptions['credentials']>;
  /** Default: nothing is counted. */
  readonly metrics?: Metrics;
  /** Default: nothing is traced. */
  readonly traces?: Traces;
  /** What opens them. Default: nothing, so that there is no such path. */
  readonly metricsTokens?: readonly string[];
}

/** Rates that no test comes near; what concerns sockets is as it is in production. */
const UNLIMITED: Partial<Limits> = {
  refusalsPerAddressMax: 1_000_000,
  refusalsMax: 1_000_000,
  requestsPerCredentialMax: 1_000_000,
};

export async function createTestApp(options: TestAppOptions): Promise<TestApp> {
  const { jobs, effects = realEffects, metrics, traces = NO_TRACES } = options;
  const rpc = metrics?.observeRpc(options.rpc) ?? options.rpc;
  const logLines: string[] = [];
  const logger = createLogger('jobs-api', 'trace', {
    destination: { write: (line: string) => void logLines.push(line) },
  });
  const plainStore = createRunStore(rpc);
  const store = metrics?.observeStore(plainStore) ?? plainStore;
  const engine = createInProcessEngine(jobs, store, {
    effects,
    rpc,
    logger,
    traces,
    ...UNUSED_SERVICES,
  });
  metrics?.measure({ rpc, engine, bullmq: null });
  const runs = createRuns(store, engine, effects, traces);
  const credentials: AppOptions['credentials'] = {
    cronTokens: [CRON_TOKEN, CRON_TOKEN_NEXT],
    opsTokens: [
      ['anna', OPS_TOKEN],
      ['ben', 'ops-token-of-ben-0123'],
    ],
    signingSecrets: [SIGNING_SECRET, SIGNING_SECRET_NEXT],
    ...options.credentials,
  };
  const tokens = options.metricsTokens ?? [];
  const metricsPage = metrics !== undefined && tokens.length > 0 ? { metrics, tokens } : null;
  const app = await buildApp({
    jobs,
    runs,
    engine,
    rpc,
    analytics: createAnalytics(rpc, { effects, logger }),
    effects,
    logger,
    traces,
    credentials,
    pages: (scope) => pages(scope, { ...credentials, bullmq: null, metrics: metricsPage }),
    limits: { ...UNLIMITED, ...options.limits },
    postLateLimitMinutes: UNUSED_SERVICES.settings.postLateLimitMinutes,
    version: '1.2.3',
    shutdownGraceMs: options.shutdownGraceMs ?? 5_000,
    ...(options.proxyHops === undefined ? {} : { proxyHops: options.proxyHops }),
    ...(options.streamsMax === undefined ? {} : { streamsMax: options.streamsMax }),
    ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
  });
  return { app, runs, store, logger, logLines };
}

/** The slot that a cron would ask for now. */
export function slotNow(schedule = QUARTER_HOURLY): Date {
  const slot = currentSlot(schedule, new Date());
  if (slot === null) throw new Error(`no slot of ${schedule}`);
  return slot;
}

export interface SignOptions {
  readonly job?: string;
  readonly slot?: Date;
  readonly secret?: string;
  readonly signedAt?: Date;
}

/** A signed trigger with the cron credential: what the web app sends. */
export function cronRequest(options: SignOptions = {}): {
  body: string;
  headers: Record<string, string> & SignedTrigger['headers'] & { authorization: string };
} {
  const { job = 'quick', slot = slotNow(), secret = SIGNING_SECRET, signedAt = new Date() } = options;
  const trigger = { job, scheduled_for: slot.toISOString(), trigger: 'vercel-cron' } as const;
  const { body, headers } = signTrigger(trigger, [secret], signedAt);
  return { body, headers: { ...headers, authorization: `Bearer ${CRON_TOKEN}` } };
}

export const asOps = { authorization: `Bearer ${OPS_TOKEN}` } as const;

/** Requests of an operator to `test`, read as JSON. */
export function operator(test: () => TestApp) {
  const call = async (method: 'GET' | 'POST' | 'PATCH', url: string, payload?: object) => {
    const response = await test().app.inject({
      method,
      url,
      headers: asOps,
      ...(payload === undefined ? {} : { payload }),
    });
    return { status: response.statusCode, body: response.json() as never };
  };
  return {
    get: (url: string) => call('GET', url),
    post: (url: string, payload?: object) => call('POST', url, payload),
    patch: (url: string, payload: object) => call('PATCH', url, payload),
  };
}

/** The run of an answer. */
export const runOf = (response: { json: () => unknown }): Run => (response.json() as { run: Run }).run;

export interface ProblemAnswer {
  readonly type: string;
  readonly status: number;
  readonly detail?: string;
  readonly errors?: { field: string; message: string }[];
  readonly code?: string;
  readonly matched?: number;
  readonly request_id: string;
  readonly instance: string;
}
