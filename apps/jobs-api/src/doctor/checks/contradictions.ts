/** Variables that are good by themselves and not together. */
import { commaSeparated } from '@revos/core/config';
import { isSameSecret } from '@revos/core/signing';
import type { Context } from '../context.ts';
import { type Environment, isSet, readDatabase } from '../env.ts';
import { type Finding, wrong } from '../finding.ts';

type Rule = (context: Context) => Finding | null;

const listOf = (env: Environment, name: string): string[] => commaSeparated(env[name] ?? '');
const tokenOf = (pair: string): string => pair.slice(pair.indexOf(':') + 1);

/** Each credential opens one door. */
const sharedCredentials: Rule = ({ env }) => {
  const values: Readonly<Record<string, readonly string[]>> = {
    CRON_SECRET: listOf(env, 'CRON_SECRET'),
    JOB_SECRET: listOf(env, 'JOB_SECRET'),
    OPS_TOKENS: listOf(env, 'OPS_TOKENS').map(tokenOf),
    METRICS_TOKEN: listOf(env, 'METRICS_TOKEN'),
  };
  const names = Object.keys(values).filter((name) =>
    Object.entries(values).some(
      ([other, theirs]) => other !== name && values[name]?.some((value) => theirs.includes(value)),
    ),
  );
  if (names.length === 0) return null;
  return wrong(names.join(', '), 'have a value in common', 'make each of them anew: openssl rand -base64 32');
};

const opsTokenIsKnown: Rule = ({ env }) => {
  if (!isSet(env, 'OPS_TOKEN') || !isSet(env, 'OPS_TOKENS')) return null;
  const own = env.OPS_TOKEN?.trim() ?? '';
  if (listOf(env, 'OPS_TOKENS').some((pair) => isSameSecret(tokenOf(pair), own))) return null;
  const remedy = 'set OPS_TOKEN to the token of one name:token pair of OPS_TOKENS, without the name';
  return wrong('OPS_TOKEN', 'is none of OPS_TOKENS', remedy);
};

const metricsPort: Rule = ({ env }) => {
  const port = env.METRICS_PORT?.trim() ?? '';
  if (port === '' || port === '0' || port !== (env.PORT?.trim() || '10000')) return null;
  return wrong('METRICS_PORT, PORT', 'are the same port', 'give METRICS_PORT another one');
};

const workerTriggers: Rule = ({ way, env }) => {
  if (way !== 'worker' || !isSet(env, 'SCHEDULER') || env.SCHEDULER?.trim() === 'internal') return null;
  return wrong('SCHEDULER', 'is off, and nothing else triggers a worker', 'set SCHEDULER=internal');
};

const fallbackNeedsApi: Rule = ({ way, env }) => {
  if (way !== 'direct' || env.DIRECT_FALLBACK?.trim() !== 'on') return null;
  return wrong(
    'DIRECT_FALLBACK, JOBS_API_URL',
    'a fallback is on, and there is no jobs API to fall back from',
    'set JOBS_API_URL, or remove DIRECT_FALLBACK',
  );
};

const wayIsMeant: Rule = ({ way, env }) => {
  if (way === 'hybrid' || !isSet(env, 'JOBS_API_URL')) return null;
  return wrong(
    'JOBS_API_URL',
    `is set, and ${way} has no jobs API elsewhere`,
    'remove it, or run the doctor with --way hybrid',
  );
};

/** The role of a key: what a secret key is, and what the older ones say of themselves. */
const secretKey: Rule = ({ env }) => {
  const key = (env.SUPABASE_SECRET_KEY || env.SUPABASE_SERVICE_ROLE_KEY)?.trim() ?? '';
  const isPublic = key.startsWith('sb_publishable_') || roleOfJwt(key) === 'anon';
  if (!isPublic) return null;
  return wrong(
    'SUPABASE_SECRET_KEY',
    'is the public key, which sees no row',
    'Supabase → Project Settings → API Keys: take the secret key, sb_secret_…',
  );
};

function roleOfJwt(key: string): string | null {
  const [, payload] = /^ey[\w-]+\.([\w-]+)\.[\w-]+$/.exec(key) ?? [];
  if (payload === undefined) return null;
  return /"role"\s*:\s*"(\w+)"/.exec(Buffer.from(payload, 'base64url').toString('utf8'))?.[1] ?? null;
}

const PROJECT = /^([a-z]{20})\.supabase\.co$/;
const LOGIN_OR_HOST = /(?:^db\.|^postgres\.)([a-z]{20})(?:\.supabase\.co)?$/;

const oneProject: Rule = ({ env }) => {
  const config = readDatabase(env);
  if (config === null || config.database.kind !== 'postgres') return null;
  const { host, user } = config.database.address;
  const [, url] = PROJECT.exec(new URL(config.supabaseUrl).hostname) ?? [];
  const [, database] = LOGIN_OR_HOST.exec(host) ?? LOGIN_OR_HOST.exec(user) ?? [];
  if (url === undefined || database === undefined || url === database) return null;
  return wrong(
    'SUPABASE_URL, DATABASE_URL',
    'are of two projects',
    'take both from the project that has RevOS’s tables',
  );
};

const RULES: readonly Rule[] = [
  wayIsMeant,
  sharedCredentials,
  opsTokenIsKnown,
  secretKey,
  oneProject,
  metricsPort,
  workerTriggers,
  fallbackNeedsApi,
];

export async function checkContradictions(context: Context): Promise<Finding[]> {
  return RULES.map((rule) => rule(context)).filter((finding) => finding !== null);
}
