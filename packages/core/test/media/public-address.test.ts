import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  connectToPublic,
  ForbiddenAddressError,
  isPublicAddress,
  lookupPublic,
  type ResolvedAddress,
} from '../../src/media/public-address.ts';

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '93.184.216.34',
  '172.15.255.255',
  '172.32.0.0',
  '2606:4700:4700::1111',
  '2a00:1450:4001:81b::200e',
];

const NOT_PUBLIC = [
  // This machine, and nobody.
  '0.0.0.0',
  '0.1.2.3',
  '127.0.0.1',
  '127.255.255.255',
  '::',
  '::1',
  // Private networks.
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  'fc00::1',
  'fdff::1',
  'fec0::1',
  // A provider's own network, and its metadata.
  '100.64.0.1',
  '169.254.0.1',
  '169.254.169.254',
  'fe80::1',
  'fe80::1%eth0',
  'fd00:ec2::254',
  // An IPv4 address in an IPv6 one.
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::ffff:1.1.1.1',
  '::127.0.0.1',
  '::7f00:1',
  '64:ff9b::127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::a00:1',
  '2002:7f00:1::',
  '2001:0:7f00:1::',
  // Many at once, or kept for later.
  '224.0.0.1',
  '239.255.255.250',
  '255.255.255.255',
  '240.0.0.1',
  'ff02::1',
  '4000::1',
  // Documentation and measurements.
  '192.0.2.1',
  '198.51.100.1',
  '203.0.113.1',
  '198.18.0.1',
  '192.0.0.8',
  '2001:db8::1',
  '192.88.99.1',
  '192.175.48.1',
  '100::1',
  '2001:2::1',
  '2001:20::1',
  '3fff::1',
  '5f00::1',
  // IPv4 as IPv6 writes it elsewhere.
  '::ffff:0:127.0.0.1',
  '64:ff9b:1:ffff::1',
  // IPv4 as only some read it: in octal, in hexadecimal, in one number, with parts left out.
  '0177.0.0.1',
  '0x7f.0.0.1',
  '2130706433',
  '127.1',
  // No address at all.
  '[2606:4700:4700::1111]',
  ' 1.1.1.1',
  '1.1.1.1\0',
  '',
  'localhost',
  '1.1.1.1.1',
  'files.example.com',
];

describe('isPublicAddress', () => {
  it.each(PUBLIC)('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each(NOT_PUBLIC)('"%s" is not', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it('no IPv4 address is public in an IPv6 disguise', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(isPublicAddress(`::ffff:${address}`)).toBe(false);
        expect(isPublicAddress(`64:ff9b::${address}`)).toBe(false);
      }),
    );
  });
});

/** What the lookup gives for a name, asked as `net.connect` asks. */
function lookUp(addresses: readonly ResolvedAddress[], all: boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const lookup = lookupPublic(async () => addresses);
    lookup('files.example.com', { all }, (error, address, family) =>
      error === null ? resolve(all ? address : { address, family }) : reject(error),
    );
  });
}

const PUBLIC_V4 = { address: '1.1.1.1', family: 4 };
const PUBLIC_V6 = { address: '2606:4700:4700::1111', family: 6 };
const PRIVATE = { address: '10.0.0.1', family: 4 };

describe('a name', () => {
  it('gives what it resolves to, and that is connected to', async () => {
    expect(await lookUp([PUBLIC_V4, PUBLIC_V6], true)).toEqual([PUBLIC_V4, PUBLIC_V6]);
    expect(await lookUp([PUBLIC_V4, PUBLIC_V6], false)).toEqual(PUBLIC_V4);
  });

  it.each([
    { name: 'only a private one', addresses: [PRIVATE] },
    { name: 'a private one behind a public one', addresses: [PUBLIC_V4, PRIVATE] },
    { name: 'a private one before a public one', addresses: [PRIVATE, PUBLIC_V6] },
  ])('with $name is refused', async ({ addresses }) => {
    await expect(lookUp(addresses, true)).rejects.toThrow(ForbiddenAddressError);
    await expect(lookUp(addresses, false)).rejects.toThrow(ForbiddenAddressError);
  });

  it('without an address is not found', async () => {
    await expect(lookUp([], true)).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });
});

describe('a connection', () => {
  const connectTo = (hostname: string, port: number, resolve: () => Promise<readonly ResolvedAddress[]>) =>
    new Promise((done, fail) => {
      const connect = connectToPublic(resolve, 5_000);
      connect({ hostname, protocol: 'http:', port: String(port) }, (error, socket) =>
        error === null ? done(socket) : fail(error),
      );
    });

  it.each([
    { name: 'to a name that resolves once to here', hostname: 'rebinding.example.com', lookups: 1 },
    { name: 'to an address of this machine', hostname: '127.0.0.1', lookups: 0 },
    { name: 'to one in an IPv6 disguise', hostname: '::ffff:127.0.0.1', lookups: 0 },
  ])('$name is never made', async ({ hostname, lookups }) => {
    let connections = 0;
    const server = createServer(() => (connections += 1)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    let asked = 0;
    const resolve = async () => {
      asked += 1;
      return [{ address: '127.0.0.1', family: 4 }];
    };
    const { port } = server.address() as AddressInfo;
    await expect(connectTo(hostname, port, resolve)).rejects.toThrow(ForbiddenAddressError);
    expect({ connections, asked }).toEqual({ connections: 0, asked: lookups });
  });
});
