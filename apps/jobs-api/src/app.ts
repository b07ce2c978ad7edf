/**
 * The HTTP application, built from services that are already there, so that a test gives it its own.
 *
 * Health is open; everything under /api asks for a credential before it reads a body.
 */
import { randomUUID } from 'node:crypto';
import { fastifySSE as sse } from '@fastify/sse';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { createAdmin } from '@revos/core/admin';
import { createAlertStore } from '@revos/core/alerts';
import type { Analytics } from '@revos/core/analytics';
import type { Effects } from '@revos/core/effects';
import type { Engine, JobDefinition, Runs } from '@revos/core/jobs';
import type { Bullmq } from '@revos/core/jobs/engines/bullmq';
import { type JsonExtent, jsonExtent } from '@revos/core/json';
import type { Rpc } from '@revos/core/rpc';
import type { Logger, Reports, Traces } from '@revos/core/telemetry';
import { readVerdict } from '@revos/core/verdict';
import { type FastifyBaseLogger, type FastifyPluginAsync, fastify } from 'fastify';
import { LIMITS, type Limits } from './limits.ts';
import { type AuthOptions, auth } from './plugins/auth.ts';
import { drain } from './plugins/drain.ts';
import { largeBodies } from './plugins/large-bodies.ts';
import { openapi } from './plugins/openapi.ts';
import { answerParserError, answerProblem, problems } from './plugins/problems.ts';
import { addressOf, rateLimits } from './plugins/rate-limits.ts';
import { SECURITY_HEADERS, securityHeaders } from './plugins/security-headers.ts';
import { HttpProblem } from './problems.ts';
import { createReadiness, type Readiness } from './readiness.ts';
import { createRedisCheck } from './redis-check.ts';
import { RequestLog } from './request-log.ts';
import { accountRoutes } from './routes/accounts.ts';
import { alertRoutes } from './routes/alerts.ts';
import { analyticsRoutes } from './routes/analytics.ts';
import { auditRoutes } from './routes/audit.ts';
import { healthRoutes } from './routes/health.ts';
import { messageRoutes } from './routes/messages.ts';
import { openapiRoutes } from './routes/openapi.ts';
import { postRoutes } from './routes/posts.ts';
import { restoreRoutes } from './routes/restores.ts';
import { runEventRoutes } from './routes/run-events.ts';
import { runRoutes } from './routes/runs.ts';
import { sendingRoutes } from './routes/sending.ts';
import { triggerRoutes } from './routes/trigger.ts';
import { verdictRoutes } from './routes/verdict.ts';
import { serializerCompiler } from './serialization.ts';
import { createSystemProbe, type SystemProbe } from './system-probe.ts';
import { DEPTH_MAX, NO_QUERY, validatorCompiler } from './validation.ts';

const BODY_BYTES_MAX = 64 * 1_024;

/** How long a plugin may take to load, in milliseconds. */
const PLUGIN_MS_MAX = 10_000;

/** Event streams that may be open at the same time. */
const STREAMS_MAX = 200;

/** Between two comments on a silent event stream, in milliseconds: below every proxy's idle limit. */
const HEARTBEAT_MS = 15_000;

export interface AppOptions {
  readonly jobs: readonly JobDefinition[];
  readonly runs: Runs;
  readonly engine: Engine;
  /** Default: none, runs are worked on in this process. */
  readonly bullmq?: Pick<Bullmq, 'engine' | 'fallback'> | null;
  readonly rpc: Rpc;
  /** Default: one that takes the rpc for the REST API's. */
  readonly probe?: SystemProbe;
  readonly analytics: Analytics;
  readonly effects: Effects;
  readonly logger: Logger;
  /** Told of what should not happen; nobody by default. */
  readonly reports?: Reports;
  /** What triggers took is told to; nobody by default. */
  readonly traces?: Traces;
  readonly credentials: AuthOptions & {
    /** `whsec_…`; any of them verifies. */
    readonly signingSecrets: readonly string[];
  };
  /** Pages for people, besides the API; by default there are none. */
  readonly pages?: FastifyPluginAsync;
  /** A post later than this is missed. */
  readonly postLateLimitMinutes: number;
  /** Shown by /health. */
  readonly version: string;
  /** How long what is in flight may take to finish when the service is closed, in milliseconds. */
  readonly shutdownGraceMs: number;
  /**
   * Proxies before this service: a caller's address is read so many entries from the end of
   * `x-forwarded-for`. Default 0.
   */
  readonly proxyHops?: number;
  /** Default: `LIMITS`. */
  readonly limits?: Partial<Limits>;
  readonly streamsMax?: number;
  readonly heartbeatMs?: number;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the service can do its work. */
    readonly readiness: Readiness;
  }
}

export type App = Awaited<ReturnType<typeof buildApp>>;

export async function buildApp(options: AppOptions) {
  const { jobs, runs, engine, rpc, effects, credentials, proxyHops = 0 } = options;
  const limits: Limits = { ...LIMITS, ...options.limits };
  const admin = createAdmin(rpc, options.postLateLimitMinutes);

  const app = fastify({
    loggerInstance: requestLogger(options.logger),
    logController: new RequestLog(),
    genReqId: () => randomUUID(),
    // A header of the caller's own stands further to the front than what the proxies added to it.
    trustProxy: (_address, hop) => hop < proxyHops,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: limits.requestMsMax,
    maxRequestsPerSocket: limits.requestsPerSocketMax,
    http: {
      headersTimeout: limits.headersMsMax,
      connectionsCheckingInterval: limits.lateCheckMs,
      maxHeaderSize: limits.headerBytesMax,
    },
    // Also the end of the hooks that a close waits for: above the grace, which the drain keeps itself.
    pluginTimeout: options.shutdownGraceMs + PLUGIN_MS_MAX,
    // A socket without traffic: longer than the longest wait for the end of a run.
    connectionTimeout: 330_000,
    keepAliveTimeout: 75_000,
    // The drain answers instead, as a problem.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      void answerProblem(error, request, reply.headers({ ...SECURITY_HEADERS, 'x-request-id': request.id }));
    },
    clientErrorHandler: answerParserError,
  })
    .withTypeProvider<TypeBoxTypeProvider>()
    .setValidatorCompiler(validatorCompiler)
    .setSerializerCompiler(serializerCompiler);

  app.server.maxConnections = limits.connectionsMax;

  // Before whatever may refuse a request.
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-request-id': request.id });
  });
  await app.register(securityHeaders);
  await app.register(rateLimits, limits);
  await app.register(problems, { reports: options.reports });
  await app.register(openapi);
  await app.register(drain, { engine, effects, graceMs: options.shutdownGraceMs });
  await app.register(sse, { heartbeatInterval: options.heartbeatMs ?? HEARTBEAT_MS });

  await app.register(largeBodies, { ...limits, smallBytesMax: BODY_BYTES_MAX });

  app.removeContentTypeParser('text/plain');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    // Typed as string or buffer, and a string because it was asked for.
    if (body === '') return done(null, undefined);
    const text = String(body);
    const problem = extentProblem(jsonExtent(text), limits.bodyPartsMax);
    if (problem !== null) return done(problem, undefined);
    try {
      done(null, JSON.parse(text));
    } catch {
      done(new HttpProblem('malformed-body'), undefined);
    }
  });

  if (options.pages) await app.register(options.pages);
  const probe = options.probe ?? createSystemProbe(rpc, effects);
  const redis = options.bullmq && { ...options.bullmq, isReachable: options.bullmq.engine.isReachable };
  const readiness = createReadiness({
    probe,
    checkRedis: redis ? createRedisCheck(redis, effects) : undefined,
    isRedisNeeded: redis?.fallback === 'none',
  });
  app.decorate('readiness', readiness);
  await app.register(healthRoutes, { readiness, version: options.version });
  await app.register(
    async (api) => {
      await api.register(auth, credentials);
      api.addHook('onRoute', ({ schema }) => {
        if (schema !== undefined) schema.querystring ??= NO_QUERY;
      });
      await api.register(runRoutes, { jobs, runs, effects });
      await api.register(verdictRoutes, {
        readVerdict: () =>
          readVerdict({
            ...{
              rpc,
              effects,
              logger: options.logger,
              jobs,
              postLateLimitMinutes: options.postLateLimitMinutes,
            },
            findReadinessFailure: async () => (await readiness()).failure,
          }),
      });
      await api.register(runEventRoutes, { runs, streamsMax: options.streamsMax ?? STREAMS_MAX });
      await api.register(messageRoutes, admin);
      await api.register(postRoutes, admin);
      await api.register(accountRoutes, admin);
      await api.register(sendingRoutes, admin);
      await api.register(restoreRoutes, admin);
      await api.register(auditRoutes, admin);
      await api.register(alertRoutes, { alerts: createAlertStore(rpc) });
      await api.register(analyticsRoutes, { analytics: options.analytics });
      await api.register(openapiRoutes);
      await api.register(triggerRoutes, {
        ...{ jobs, runs, effects, traces: options.traces },
        signingSecrets: credentials.signingSecrets,
      });
    },
    { prefix: '/api' },
  );
  return app;
}

/** Why a body is not read at all: what it would make is too much to hold, or deeper than a stack. */
function extentProblem({ parts, depth }: JsonExtent, partsMax: number): HttpProblem | null {
  if (depth > DEPTH_MAX + 1) {
    return new HttpProblem('invalid-request', {
      errors: [{ field: 'body', message: 'is nested too deeply' }],
    });
  }
  if (parts <= partsMax) return null;
  return new HttpProblem('body-too-large', {
    detail: `The body may have ${partsMax} names and values at most: send fewer rows at once.`,
  });
}

/** A word of a route, or an id. */
const LOGGED_SEGMENT = /^(?:[a-z][a-z.-]{0,31}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?$/;

/** The path without what is neither: it may be a token in the wrong place. */
const loggedPath = (url: string): string =>
  (url.split('?', 1)[0] ?? '')
    .split('/')
    .map((segment) => (LOGGED_SEGMENT.test(segment) ? segment : '…'))
    .join('/');

/** Requests are logged without headers, body and query: each may hold a secret in the wrong place. */
function requestLogger(logger: Logger): FastifyBaseLogger {
  return logger.child(
    {},
    {
      serializers: {
        req: (request: { method: string; url: string; ip: string }) => ({
          method: request.method,
          path: loggedPath(request.url),
          remote_address: addressOf(request),
        }),
      },
    },
  );
}
