/** Bearer tokens: several valid at once, compared in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** Digests have one length, so the comparison tells nothing about the length of a token either. */
const digest = (value: string): Buffer => createHash('sha256').update(value).digest();

/** Whether two secrets are the same, in a time that tells nothing about either. */
export function isSameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

/**
 * The name under which `given` is known, or null. Every known token is compared, whichever matches.
 *
 * @param known pairs of a name and a token
 */
export function nameOfToken(
  given: string,
  known: ReadonlyArray<readonly [name: string, token: string]>,
): string | null {
  let found: string | null = null;
  for (const [name, token] of known) {
    if (isSameSecret(given, token)) found = name;
  }
  return found;
}

const BEARER = /^bearer (.+)$/i;

/**
 * The token of an `authorization` header, or null. The scheme's name has no case (RFC 9110); the
 * token's letters have.
 */
export function bearerTokenOf(authorization: string): string | null {
  return BEARER.exec(authorization)?.[1] ?? null;
}
