export { isSafeAddress } from './address.ts';
export { commaSeparated, EnvironmentError, readEnv } from './env.ts';
