/** The environment of the ops CLI. The only file here that reads it. */
import { isSafeAddress, readEnv } from '@revos/core/config';
import Type from 'typebox';

export { isSafeAddress };

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. */
export const environment: Environment = process.env;

const Env = Type.Object({
  JOBS_API_URL: Type.Refine(Type.String(), isSafeAddress),
  /** Visible ASCII, which any bearer token is: what else stands there is no token. */
  OPS_TOKEN: Type.String({ pattern: '^[!-~]+$' }),
});

export interface Connection {
  readonly baseUrl: string;
  readonly token: string;
}

/**
 * Where the API is, and who asks.
 *
 * @param url stands before `JOBS_API_URL`; undefined if it was not given
 * @throws {EnvironmentError} naming every bad or missing variable at once, and no value
 */
export function readConnection(url: string | undefined, source: Environment): Connection {
  const env = readEnv(Env, { ...source, JOBS_API_URL: url ?? source.JOBS_API_URL });
  return { baseUrl: env.JOBS_API_URL.replace(/\/+$/, ''), token: env.OPS_TOKEN };
}

/**
 * Whether colours are wanted (`FORCE_COLOR`), not wanted (`NO_COLOR`, which wins), or left to the
 * terminal.
 */
export function readColourWish(source: Environment): boolean | null {
  if (source.NO_COLOR) return false;
  return source.FORCE_COLOR && source.FORCE_COLOR !== '0' ? true : null;
}
