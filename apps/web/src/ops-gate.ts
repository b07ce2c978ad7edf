/**
 * The door of the pages: HTTP Basic authentication with `OPS_TOKEN` as the password.
 *
 * Any user name will do. Without a token the door is closed, not open.
 */
import { isSameSecret } from '@revos/core/signing';

export type Entry = 'open' | 'denied' | 'closed';

/**
 * @param authorization the header as received, or null
 * @param token `OPS_TOKEN`, or undefined where it is not set
 */
export function entryOf(authorization: string | null, token: string | undefined): Entry {
  if (token === undefined || token === '') return 'closed';
  return isSameSecret(passwordOf(authorization ?? '') ?? '', token) ? 'open' : 'denied';
}

/** The password of `Basic <base64 of user:password>`; null if it is something else. */
function passwordOf(authorization: string): string | null {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization) ?? [];
  if (encoded === undefined) return null;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon === -1 ? null : pair.slice(colon + 1);
}
