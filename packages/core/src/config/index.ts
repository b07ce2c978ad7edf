export { isSafeAddress, isSentryDsn, SENTRY_ENVIRONMENT } from './address.ts';
export { commaSeparated, EnvironmentError, readEnv } from './env.ts';
export {
  secretsInHeaders,
  type TracesConfig,
  type TracesEnv,
  tracesConfigOf,
  tracesVariables,
} from './traces.ts';
