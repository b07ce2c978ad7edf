/**
 * The system probe: whether the database is there, has our schema, and lets us see our tables.
 *
 * A role that may not see a table behind row-level security gets no error, only no rows: a job with
 * the wrong key would report "nothing to do" for ever. So it is asked for outright.
 */
import { type Effects, within } from '@revos/core/effects';
import { type Rpc, RpcError, SCHEMA_VERSION } from '@revos/core/rpc';

/** How long a probe may take, in milliseconds. */
export const PROBE_MS_MAX = 3_000;

/**
 * How long an answer of the database is told again, in milliseconds: anyone may ask, and as often
 * as they like.
 */
export const PROBE_FRESH_MS = 1_000;

/** Tables without which no job can work. Others that the probe names must be visible too. */
const TABLES = ['dm_queue', 'dm_attempts', 'account_policies', 'job_runs', 'linkedin_accounts'] as const;

/** PostgREST's and Postgres's codes for a function that is not there. */
const MISSING_FUNCTION = new Set(['PGRST202', '42883']);

export type CheckName = 'database' | 'schema' | 'permissions' | 'redis';

export interface Check {
  readonly name: CheckName;
  /** `unknown`: it could not be looked at, since an earlier one failed. */
  readonly status: 'ok' | 'failed' | 'unknown';
  /** What is wrong and what to do; without values. */
  readonly detail?: string;
}

/** The way to the database, and what to look at where it is closed. */
const WAYS = {
  rest: { who: 'the key', remedy: 'SUPABASE_SECRET_KEY must be the secret key of the project' },
  postgres: {
    who: 'the login',
    remedy: 'DATABASE_URL must have the password of a role that is service_role or a member of it',
  },
} as const;

type Way = (typeof WAYS)[keyof typeof WAYS];

interface ProbeAnswer {
  readonly schema_version: number;
  readonly can_see: Readonly<Record<string, boolean>>;
}

export interface SystemProbe {
  /**
   * The three checks, within `PROBE_MS_MAX`, as they were at most `PROBE_FRESH_MS` ago. Never
   * throws. Callers at the same time share one probe.
   */
  check(): Promise<readonly Check[]>;
}

export function createSystemProbe(rpc: Rpc, effects: Effects, kind: keyof typeof WAYS = 'rest'): SystemProbe {
  const way = WAYS[kind];
  let underWay: Promise<readonly Check[]> | null = null;
  let latest: { readonly checks: readonly Check[]; readonly atMs: number } | null = null;

  const ask = (): Promise<readonly Check[]> => {
    underWay ??= rpc
      .call<ProbeAnswer>('system_probe')
      .then(
        (answer) => judgeAnswer(answer, way),
        (error) => judgeFailure(error, way),
      )
      .then((checks) => {
        latest = { checks, atMs: effects.monotonicMs() };
        return checks;
      })
      .finally(() => {
        underWay = null;
      });
    return underWay;
  };

  return {
    async check() {
      if (latest !== null && effects.monotonicMs() < latest.atMs + PROBE_FRESH_MS) return latest.checks;
      return within(effects, PROBE_MS_MAX, ask(), unreachable);
    },
  };
}

/** Whether a check failed in a way that no waiting heals: the deployment itself is wrong. */
export function isMisconfigured(checks: readonly Check[]): boolean {
  return checks.some(({ name, status }) => status === 'failed' && name !== 'database');
}

export const failedChecks = (checks: readonly Check[]): readonly Check[] =>
  checks.filter(({ status }) => status === 'failed');

const unreachable = (why = ''): readonly Check[] => [
  { name: 'database', status: 'failed', detail: `the database does not answer${why}` },
  { name: 'schema', status: 'unknown' },
  { name: 'permissions', status: 'unknown' },
];

/** What the socket or the handshake failed of: ` (ECONNREFUSED)`, or a certificate that is not trusted. */
const whyOf = (error: unknown): string =>
  (error instanceof RpcError ? /: no answer( \([A-Z0-9_]+\))$/.exec(error.message)?.[1] : undefined) ?? '';

function judgeAnswer(answer: ProbeAnswer, { who, remedy }: Way): readonly Check[] {
  const sees = answer?.can_see ?? {};
  const hidden = [...new Set([...TABLES, ...Object.keys(sees)])].filter((table) => sees[table] !== true);
  const version = answer?.schema_version;
  return [
    { name: 'database', status: 'ok' },
    version === SCHEMA_VERSION
      ? { name: 'schema', status: 'ok' }
      : {
          name: 'schema',
          status: 'failed',
          detail: `the schema has version ${Number(version)}, this service needs ${SCHEMA_VERSION}: apply supabase/migrations`,
        },
    hidden.length === 0
      ? { name: 'permissions', status: 'ok' }
      : {
          name: 'permissions',
          status: 'failed',
          detail: `${who} does not see ${hidden.join(', ')}: ${remedy}`,
        },
  ];
}

function judgeFailure(error: unknown, { remedy }: Way): readonly Check[] {
  if (!(error instanceof RpcError) || error.kind !== 'bug') return unreachable(whyOf(error));
  return MISSING_FUNCTION.has(error.code)
    ? [
        { name: 'database', status: 'ok' },
        { name: 'schema', status: 'failed', detail: 'system_probe is missing: apply supabase/migrations' },
        { name: 'permissions', status: 'unknown' },
      ]
    : [
        { name: 'database', status: 'ok' },
        { name: 'schema', status: 'unknown' },
        {
          name: 'permissions',
          status: 'failed',
          detail: `system_probe is refused: ${remedy}`,
        },
      ];
}
