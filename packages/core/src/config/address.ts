/** Addresses that secrets travel to. */

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * Whether a secret may be sent to an address: it is https, unless it never leaves the machine. With a name and a password
 * in it, it is none: clients quote it in their errors.
 */
export function isSafeAddress(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname));
}
