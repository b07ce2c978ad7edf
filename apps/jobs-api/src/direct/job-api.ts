/**
 * The job API without a port: a function of the web app hands it requests, and gives back its answers.
 *
 * For people and their tools. Nothing is signed here: slots come through the web app's own cron route.
 */
import { Readable } from 'node:stream';
import { countdown } from '@revos/core/effects';
import { createInProcessEngine, createRuns } from '@revos/core/jobs';
import { buildApp } from '../app.ts';
import { loadDirectConfig } from '../env.ts';
import { openParts } from '../services.ts';
import { flush } from '../start.ts';
import { createSystemProbe } from '../system-probe.ts';
import { versionOf } from '../version.ts';

/** The platform sets the caller's address as the one entry of `x-forwarded-for`. */
const PROXY_HOPS = 1;

const GRACE_MS = 5_000;

export interface JobApi {
  /** Never throws for what a request says. The answer's body may still grow when this resolves. */
  answer(request: Request): Promise<Response>;
  /** Resolves once no run is worked on here. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/**
 * @param runMsMax how long a run that is asked for here may take, in milliseconds: the function
 *   that was asked for it is cut off after that
 * @throws {EnvironmentError} naming what is missing
 */
export async function openJobApi(runMsMax: number, source?: NodeJS.ProcessEnv): Promise<JobApi> {
  const config = loadDirectConfig(source);
  const parts = await openParts(config, 'direct');
  const { jobs, store, jobServices, rpc, analytics, effects, logger, reports, traces } = parts;
  const engine = createInProcessEngine(jobs, store, jobServices, {
    untilEnd: () => countdown(effects, runMsMax),
  });
  const app = await buildApp({
    ...{ jobs, engine, rpc, analytics, effects, logger, reports, traces },
    runs: createRuns(store, engine, effects, traces),
    probe: createSystemProbe(rpc, effects, config.database.kind),
    credentials: { cronTokens: [], opsTokens: config.opsTokens, signingSecrets: [] },
    postLateLimitMinutes: config.settings.postLateLimitMinutes,
    version: versionOf(config),
    shutdownGraceMs: GRACE_MS,
    proxyHops: PROXY_HOPS,
  });
  await app.ready();

  return {
    async idle() {
      await engine.idle();
      await flush(parts);
    },
    async answer(request) {
      const { pathname, search } = new URL(request.url);
      const response = await app.inject({
        method: request.method as 'GET',
        url: `${pathname}${search}`,
        headers: Object.fromEntries(request.headers),
        ...(request.body === null ? {} : { payload: Buffer.from(await request.arrayBuffer()) }),
        payloadAsStream: true,
      });
      const headers = new Headers();
      for (const [name, value] of Object.entries(response.headers)) {
        for (const one of [value].flat()) if (one !== undefined) headers.append(name, String(one));
      }
      const hasBody = request.method !== 'HEAD' && response.statusCode !== 204 && response.statusCode !== 304;
      const body = hasBody ? (Readable.toWeb(response.stream()) as ReadableStream<Uint8Array>) : null;
      return new Response(body, { status: response.statusCode, headers });
    },
    async close() {
      await app.close();
      await parts.close();
    },
  };
}
