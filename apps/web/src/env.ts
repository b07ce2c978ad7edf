/**
 * The environment of the web app, and the only place that reads it. It is read for each request, so
 * that a build needs no secret and a rotated one needs no build.
 */
import { commaSeparated, isSafeAddress, readEnv } from '@revos/core/config';
import { currentSlot } from '@revos/core/jobs';
import { jobsWithSchedules } from '@revos/core/registry';
import { isSigningSecret } from '@revos/core/signing';
import Type, { type Static } from 'typebox';

type Source = Readonly<Record<string, string | undefined>>;

/**
 * What travels in a header, so visible ASCII, and cannot be guessed: at least as long as the jobs API wants a token.
 */
const SECRET = /^[!-~]{16,}$/;

const Secret = Type.String({ pattern: SECRET });

const JobsApiUrl = Type.Refine(Type.String(), isSafeAddress);

const SecretList = Type.Refine(Type.String(), (list: string) => {
  const secrets = commaSeparated(list);
  return secrets.length > 0 && secrets.every((secret) => SECRET.test(secret));
});

const SigningSecrets = Type.Refine(Type.String(), (list: string) => {
  const secrets = commaSeparated(list);
  return secrets.length > 0 && secrets.every(isSigningSecret);
});

const Schedules = Type.Refine(Type.String(), (overrides: string) => {
  try {
    return jobsWithSchedules(overrides).every((job) => currentSlot(job.schedule, new Date(0)) !== undefined);
  } catch {
    return false;
  }
});

const CronEnv = Type.Object({
  /** What Vercel sends. */
  CRON_SECRET: Secret,
  JOBS_API_URL: JobsApiUrl,
  /** The bearer token towards the jobs API; of several, the first is used. */
  JOB_SECRET: SecretList,
  /** `whsec_…`; the first signs. */
  JOBS_SIGNING_SECRETS: SigningSecrets,
  /** Other schedules than the registry's, for development. */
  JOB_SCHEDULES: Type.Optional(Schedules),
});
export type CronEnv = Readonly<Static<typeof CronEnv>>;

const GateEnv = Type.Object({ OPS_TOKEN: Secret });

const DashboardEnv = Type.Object({ JOBS_API_URL: JobsApiUrl, OPS_TOKEN: Secret });
export type DashboardEnv = Readonly<Static<typeof DashboardEnv>>;

/** What a cron route needs. @throws {EnvironmentError} */
export function readCronEnv(source: Source = process.env): CronEnv {
  return readEnv(CronEnv, source);
}

/** What the door of the pages needs. @throws {EnvironmentError} */
export function readGateEnv(source: Source = process.env): Readonly<Static<typeof GateEnv>> {
  return readEnv(GateEnv, source);
}

/** What the pages need. @throws {EnvironmentError} */
export function readDashboardEnv(source: Source = process.env): DashboardEnv {
  return readEnv(DashboardEnv, source);
}
