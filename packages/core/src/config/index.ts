export { commaSeparated, EnvironmentError, readEnv } from './env.ts';
