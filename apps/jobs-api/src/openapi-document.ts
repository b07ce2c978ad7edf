/**
 * The OpenAPI document without a service: the application is built from parts that are never asked
 * anything.
 */
import type { Analytics } from '@revos/core/analytics';
import { realEffects } from '@revos/core/effects';
import type { Engine, Runs } from '@revos/core/jobs';
import type { Rpc } from '@revos/core/rpc';
import { createLogger } from '@revos/core/telemetry';
import { buildApp } from './app.ts';

/** Stands for a part, and throws when it is used. */
const inert = <Part extends object>(name: string): Part =>
  new Proxy({} as Part, {
    get(_part, member) {
      throw new Error(`${name}.${String(member)} was asked for while the document was made`);
    },
  });

/** What `GET /api/openapi.json` answers, wherever it is deployed. */
export async function openApiDocument(): Promise<Record<string, unknown>> {
  const app = await buildApp({
    jobs: [],
    runs: inert<Runs>('runs'),
    engine: inert<Engine>('engine'),
    rpc: inert<Rpc>('rpc'),
    analytics: inert<Analytics>('analytics'),
    effects: realEffects,
    logger: createLogger('jobs-api', 'silent'),
    credentials: { cronTokens: [], opsTokens: [], signingSecrets: [] },
    postLateLimitMinutes: 0,
    version: '0',
    shutdownGraceMs: 0,
  });
  await app.ready();
  return app.swagger() as unknown as Record<string, unknown>;
}
