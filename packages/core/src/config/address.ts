/** Addresses that secrets travel to. */

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * Whether a secret may be sent to an address: it is https, unless it never leaves the machine. With
 * a name and a password in it, it is none: clients quote it in their errors. Nor is what was pasted
 * with a space or a line break in it.
 */
export function isSafeAddress(value: string): boolean {
  if (/[^!-~]/.test(value)) return false;
  const url = URL.parse(value);
  if (url === null || url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname));
}

/** Letters, digits and `._-`, as Sentry takes the name of an environment. */
export const SENTRY_ENVIRONMENT = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$';

/**
 * Whether a value is the DSN of a Sentry project: a safe address with the project's public key, and
 * its number as the path.
 */
export function isSentryDsn(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || !/^[0-9a-f]{32}$/.test(url.username) || url.password !== '') return false;
  if (url.search !== '' || url.hash !== '' || !/^(?:\/[\w.-]+)*\/\d+$/.test(url.pathname)) return false;
  url.username = '';
  return isSafeAddress(url.href);
}
