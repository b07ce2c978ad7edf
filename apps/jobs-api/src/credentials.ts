/** Credentials as the environment names them: how they are written, and what is refused. */
import { commaSeparated } from '@revos/core/config';

/** Bearer tokens are at least this long. */
const TOKEN_LENGTH_MIN = 16;

/** The characters of a bearer token (RFC 6750); a comma would end it here. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

const OPS_NAME = /^[a-z0-9-]{1,64}$/;

/** Names that runs and the audit trail show for the machines. */
const RESERVED: ReadonlySet<string> = new Set(['cron', 'scheduler', 'watchdog', 'sql']);

const isToken = (token: string): boolean => token.length >= TOKEN_LENGTH_MIN && TOKEN.test(token);

export const areTokens = (value: string): boolean => {
  const tokens = commaSeparated(value);
  return tokens.length > 0 && tokens.every(isToken);
};

/** `name:token` pairs; a token may hold no colon, so the first one ends the name. */
export const opsTokens = (value: string): ReadonlyArray<readonly [name: string, token: string]> =>
  commaSeparated(value).map((entry) => {
    const colon = entry.indexOf(':');
    return [entry.slice(0, Math.max(colon, 0)), entry.slice(colon + 1)] as const;
  });

export const areOpsTokens = (value: string): boolean => {
  const pairs = opsTokens(value);
  const names = new Set(pairs.map(([name]) => name));
  const tokens = new Set(pairs.map(([, token]) => token));
  return (
    pairs.length > 0 &&
    names.size === pairs.length &&
    tokens.size === pairs.length &&
    pairs.every(([name, token]) => OPS_NAME.test(name) && !RESERVED.has(name) && isToken(token))
  );
};
