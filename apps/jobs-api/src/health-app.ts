/** Health over HTTP, of a process that has no other use for a port: a worker whose platform wants one. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Logger } from '@revos/core/telemetry';
import { fastify } from 'fastify';
import { LIMITS } from './limits.ts';
import { problems } from './plugins/problems.ts';
import { rateLimits } from './plugins/rate-limits.ts';
import { securityHeaders } from './plugins/security-headers.ts';
import type { Readiness } from './readiness.ts';
import { RequestLog } from './request-log.ts';
import { healthRoutes } from './routes/health.ts';
import { serializerCompiler } from './serialization.ts';
import { validatorCompiler } from './validation.ts';

export interface HealthAppOptions {
  readonly readiness: Readiness;
  /** Shown by /health. */
  readonly version: string;
  readonly logger: Logger;
  /** Aborts when the shutdown begins. */
  readonly signal: AbortSignal;
}

export async function buildHealthApp({ readiness, version, logger, signal }: HealthAppOptions) {
  const app = fastify({
    loggerInstance: logger,
    logController: new RequestLog(),
    requestTimeout: LIMITS.requestMsMax,
    http: { headersTimeout: LIMITS.headersMsMax, maxHeaderSize: LIMITS.headerBytesMax },
    // Nobody waits for an answer of a process that ends.
    forceCloseConnections: true,
  })
    .withTypeProvider<TypeBoxTypeProvider>()
    .setValidatorCompiler(validatorCompiler)
    .setSerializerCompiler(serializerCompiler);
  app.server.maxConnections = LIMITS.connectionsMax;
  app.decorate('drain', { signal, track: (work) => work });
  await app.register(securityHeaders);
  await app.register(rateLimits, LIMITS);
  await app.register(problems);
  await app.register(healthRoutes, { readiness, version });
  return app;
}
