import { describe, expect, it } from 'vitest';
import { readCertificates, readDatabaseUrl } from '../../src/rpc/postgres/database-url.ts';
import { selfSigned } from '../support/self-signed.ts';

const CERT = selfSigned.cert;

describe('a DATABASE_URL', () => {
  it('gives its parts, as they were before they were encoded', () => {
    expect(readDatabaseUrl('postgresql://postgres.abcd:p%40ss%2Fw%23rd@db.example.com:5433/my%20db')).toEqual(
      {
        host: 'db.example.com',
        port: 5433,
        user: 'postgres.abcd',
        password: 'p@ss/w#rd',
        database: 'my db',
        tls: { rejectUnauthorized: true },
        isExposed: false,
      },
    );
  });

  it.each([
    { url: 'postgres://a:b@db.example.com/c', port: 5432, host: 'db.example.com' },
    { url: 'postgres://a:b@[2001:db8::1]:5555/c', port: 5555, host: '2001:db8::1' },
  ])('$url leads to $host, port $port', ({ url, host, port }) => {
    expect(readDatabaseUrl(url)).toMatchObject({ host, port });
  });

  it.each([
    { why: 'no URL', url: 'db.example.com' },
    { why: 'another scheme', url: 'https://a:b@db.example.com/c' },
    { why: 'a second line', url: 'postgres://a:b@db.example.com/c\nand more' },
    { why: 'no user', url: 'postgres://db.example.com/c' },
    { why: 'no password', url: 'postgres://a@db.example.com/c' },
    { why: 'no database', url: 'postgres://a:b@db.example.com' },
    { why: 'no host', url: 'postgres://a:b@/c' },
    { why: 'a password that is not encoded', url: 'postgres://a:50%@db.example.com/c' },
    { why: 'the transaction pooler of Supabase', url: 'postgres://a:b@pooler.supabase.com:6543/postgres' },
    { why: 'a mode that may fall back to no TLS', url: 'postgres://a:b@db.example.com/c?sslmode=prefer' },
    { why: 'the other one', url: 'postgres://a:b@db.example.com/c?sslmode=allow' },
    { why: 'a mode that is none', url: 'postgres://a:b@db.example.com/c?sslmode=toString' },
    {
      why: 'a parameter that would not be heeded',
      url: 'postgres://a:b@db.example.com/c?sslrootcert=/ca.pem',
    },
  ])('$why is refused', ({ url }) => {
    expect(readDatabaseUrl(url)).toBeNull();
  });
});

describe('TLS', () => {
  const VERIFIED = { rejectUnauthorized: true };

  it.each([
    { host: 'db.example.com', mode: '', tls: VERIFIED, isExposed: false },
    { host: 'db.example.com', mode: '?sslmode=require', tls: VERIFIED, isExposed: false },
    { host: 'db.example.com', mode: '?sslmode=verify-full', tls: VERIFIED, isExposed: false },
    {
      host: 'db.example.com',
      mode: '?sslmode=no-verify',
      tls: { rejectUnauthorized: false },
      isExposed: true,
    },
    { host: 'db.example.com', mode: '?sslmode=disable', tls: false, isExposed: true },
    { host: '10.0.0.8', mode: '', tls: VERIFIED, isExposed: false },
    { host: 'localhost.example.com', mode: '', tls: VERIFIED, isExposed: false },
    { host: '127.0.0.1.example.com', mode: '', tls: VERIFIED, isExposed: false },
    { host: 'localhost', mode: '', tls: false, isExposed: false },
    { host: '127.0.0.1', mode: '', tls: false, isExposed: false },
    { host: '[::1]', mode: '', tls: false, isExposed: false },
    { host: '127.0.0.1', mode: '?sslmode=require', tls: VERIFIED, isExposed: false },
  ])('$host with "$mode"', ({ host, mode, tls, isExposed }) => {
    expect(readDatabaseUrl(`postgres://a:b@${host}/c${mode}`)).toMatchObject({ tls, isExposed });
  });

  it('verify-ca does not look at the name of the host', () => {
    const address = readDatabaseUrl('postgres://a:b@db.example.com/c?sslmode=verify-ca');
    expect(address?.tls).toMatchObject({ ...VERIFIED, checkServerIdentity: expect.any(Function) });
  });

  it('trusts the certificates that are given, and no other', () => {
    const tls = { ...VERIFIED, ca: [CERT] };
    expect(readDatabaseUrl('postgres://a:b@db.example.com/c', [CERT])).toMatchObject({ tls });
    // Of this machine it is asked then too.
    expect(readDatabaseUrl('postgres://a:b@localhost/c', [CERT])).toMatchObject({ tls });
  });

  it.each(['disable', 'no-verify'])('does not take certificates to trust with sslmode=%s', (mode) => {
    expect(readDatabaseUrl(`postgres://a:b@localhost/c?sslmode=${mode}`)).not.toBeNull();
    expect(readDatabaseUrl(`postgres://a:b@localhost/c?sslmode=${mode}`, [CERT])).toBeNull();
  });
});

describe('certificates', () => {
  it.each([
    { form: 'as they are', text: CERT, certificates: [CERT] },
    { form: 'in one line', text: CERT.replaceAll('\n', '\\n'), certificates: [CERT] },
    { form: 'with words between', text: `root\n${CERT}\nother\n${CERT}\n`, certificates: [CERT, CERT] },
    { form: 'as a path', text: '/etc/ssl/ca.pem', certificates: null },
    { form: 'as a key', text: selfSigned.key, certificates: null },
    { form: 'broken', text: CERT.replace('MIIB', 'MIIC'), certificates: null },
    { form: 'good and broken', text: `${CERT}\n${CERT.replace('MIIB', 'MIIC')}`, certificates: null },
  ])('$form', ({ text, certificates }) => {
    expect(readCertificates(text)).toEqual(certificates);
  });
});
