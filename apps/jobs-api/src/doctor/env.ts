/** The environment that the doctor reads: all that a deployment has, on Vercel and on Render, in one. */
import { EnvironmentError, isSafeAddress, readEnv } from '@revos/core/config';
import Type from 'typebox';
import {
  loadAlertsConfig,
  loadConfig,
  loadDatabaseConfig,
  loadDirectConfig,
  loadRedisUrl,
  loadUnipileConfig,
  loadWorkerConfig,
} from '../env.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. */
export const environment: Environment = process.env;

export const WAYS = ['hybrid', 'direct', 'worker'] as const;

/** Who triggers, and who works: `docs/deploying.md`. */
export type Way = (typeof WAYS)[number];

export const isSet = (env: Environment, name: string): boolean => (env[name] ?? '').trim() !== '';

/** The way that an environment is made for, where nobody says which. */
export function wayOf(env: Environment): Way {
  if (isSet(env, 'JOBS_API_URL')) return 'hybrid';
  return env.SCHEDULER?.trim() === 'internal' ? 'worker' : 'direct';
}

/** What travels in a header. As the web app wants it: a test holds the two together. */
const Secret = Type.String({ pattern: /^[!-~]{16,}$/ });
const Address = Type.Refine(Type.String(), isSafeAddress);

const WebEnv = Type.Object({
  CRON_SECRET: Secret,
  OPS_TOKEN: Secret,
  DIRECT_FALLBACK: Type.Optional(Type.Union([Type.Literal('off'), Type.Literal('on')])),
});

const HybridWebEnv = Type.Object({ ...WebEnv.properties, JOBS_API_URL: Address });

/** Without `OPS_TOKENS` nobody could look at a run, or pause it. */
const PeopleEnv = Type.Object({ OPS_TOKENS: Type.String() });

/** Of a service with the job API, or of a worker without a port. */
const loadProcessConfig = (env: NodeJS.ProcessEnv): unknown =>
  isSet(env, 'OPS_TOKENS') || isSet(env, 'JOB_SECRET') ? loadConfig(env) : loadWorkerConfig(env);

/** What reads the variables of each way, as the parts themselves do. */
const READERS: Readonly<Record<Way, ReadonlyArray<(env: NodeJS.ProcessEnv) => unknown>>> = {
  hybrid: [(env) => readEnv(HybridWebEnv, env), loadConfig],
  direct: [(env) => readEnv(WebEnv, env), (env) => readEnv(PeopleEnv, env), loadDirectConfig],
  worker: [loadProcessConfig],
};

/** What no part would start with. */
export function refusedVariables(
  way: Way,
  env: Environment,
): { readonly missing: ReadonlySet<string>; readonly invalid: ReadonlySet<string> } {
  const [missing, invalid] = [new Set<string>(), new Set<string>()];
  for (const read of READERS[way]) {
    try {
      read({ ...env });
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      for (const name of error.variables) (isSet(env, name) ? invalid : missing).add(name);
    }
  }
  return { missing, invalid };
}

/** What `read` reads; null where the environment is too bad for it, which the variables' own check tells. */
function readOrNull<Read>(read: (env: NodeJS.ProcessEnv) => Read, env: Environment): Read | null {
  try {
    return read({ ...env });
  } catch (error) {
    if (error instanceof EnvironmentError) return null;
    throw error;
  }
}

export const readDatabase = (env: Environment) => readOrNull(loadDatabaseConfig, env);
export const readAlerts = (env: Environment) => readOrNull(loadAlertsConfig, env);
export const readUnipile = (env: Environment) => readOrNull(loadUnipileConfig, env);
export const readRedisUrl = (env: Environment): string | null => readOrNull(loadRedisUrl, env);

/** Where the jobs API is, without a slash at the end; null where that cannot be read. */
export function readJobsApiUrl(env: Environment): string | null {
  const url = env.JOBS_API_URL?.trim() ?? '';
  return isSafeAddress(url) ? url.replace(/\/+$/, '') : null;
}
