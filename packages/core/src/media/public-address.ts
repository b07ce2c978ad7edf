/**
 * Connections to public addresses only, so that a URL of an operator's cannot reach into our network.
 *
 * The check is made where the connection is: a name is resolved once, what it resolves to is checked,
 * and that is what is connected to. A name that resolves otherwise a moment later changes nothing.
 */
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { buildConnector } from 'undici';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** All addresses of a name. Rejects if it has none. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

export const resolveByDns: Resolve = (hostname) => lookup(hostname, { all: true });

/** The address is one of a private network, of this machine, or of nobody. Nothing was connected to. */
export class ForbiddenAddressError extends Error {
  override readonly name = 'ForbiddenAddressError';

  constructor() {
    super('the address is not a public one');
  }
}

const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Whether an address is of the public internet. An IPv6 address that stands for an IPv4 one (mapped,
 * NAT64, 6to4, Teredo) is not: what it leads to is another's decision.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_IPV6);
}

/** @param timeoutMs how long a connection may take, in milliseconds */
export function connectToPublic(resolve: Resolve, timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: timeoutMs, allowH2: false, lookup: lookupPublic(resolve) });
  return (options, callback) => {
    // An address in the URL itself is never looked up.
    if (isIP(options.hostname) !== 0 && !isPublicAddress(options.hostname)) {
      callback(new ForbiddenAddressError(), null);
      return;
    }
    connect(options, callback);
  };
}

/** One address that is not public refuses the name: which of them is taken would be chance. */
export function lookupPublic(resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname)
      .then((addresses) => {
        if (!addresses.every(({ address }) => isPublicAddress(address))) throw new ForbiddenAddressError();
        const [first] = addresses;
        if (first === undefined) throw Object.assign(new Error('no address'), { code: 'ENOTFOUND' });
        if (options.all === true) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      })
      .catch((error: NodeJS.ErrnoException) => callback(error, ''));
  };
}
