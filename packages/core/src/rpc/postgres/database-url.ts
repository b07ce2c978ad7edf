/**
 * What `DATABASE_URL` and `DATABASE_CA` say, read by our own rules: what travels is never open to
 * others without somebody having asked for it by name.
 *
 * A host that is not this machine is spoken to over TLS with its certificate verified, whatever is left out.
 */
import { X509Certificate } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';

export interface DatabaseAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: ConnectionOptions | false;
  /** Whether somebody on the way could read or change what travels, as the URL asked for. */
  readonly isExposed: boolean;
}

/**
 * Where Supabase's pooler gives each transaction another session: no role, no timeout and no
 * prepared statement lasts there. The same host has sessions of one's own on port 5432.
 */
const TRANSACTION_POOLER_PORT = 6543;

const LOCAL_HOST = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/**
 * The address in a `postgres://user:password@host:port/database` URL, or null if it cannot be used:
 * it names no user, password or database, leads to a transaction pooler, or asks for what is not
 * known here.
 *
 * `sslmode` is the one parameter. `require` verifies as `verify-full` does, which is more than it
 * asks for; `verify-ca` does not look at the host's name, `no-verify` at no certificate. `prefer`
 * and `allow` would fall back to no TLS in silence.
 *
 * @param authorities certificates in PEM to trust instead of those that Node brings, as Supabase
 *   has its own. With some, TLS is verified; a mode that says otherwise is refused
 */
export function readDatabaseUrl(text: string, authorities: readonly string[] = []): DatabaseAddress | null {
  // White space would be dropped, and one word more be part of the database's name.
  const url = /^postgres(ql)?:\/\/[!-~]+$/.test(text) ? URL.parse(text) : null;
  if (url === null) return null;
  const [user, password, database] = [url.username, url.password, url.pathname.slice(1)].map(decoded);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? 5432 : Number(url.port);
  if (!user || !password || !database || host === '' || port === TRANSACTION_POOLER_PORT) return null;
  if ([...url.searchParams.keys()].some((name) => name !== 'sslmode')) return null;

  const isLocal = LOCAL_HOST.test(host);
  const hasAuthority = authorities.length > 0;
  const mode = url.searchParams.get('sslmode') ?? (isLocal && !hasAuthority ? 'disable' : 'verify-full');
  if (!Object.hasOwn(TLS, mode)) return null;
  const tls: ConnectionOptions | false = TLS[mode as keyof typeof TLS];
  const isVerified = tls !== false && tls.rejectUnauthorized === true;
  if (hasAuthority && !isVerified) return null;
  return {
    host,
    port,
    user,
    password,
    database,
    tls: hasAuthority ? { ...tls, ca: [...authorities] } : tls,
    isExposed: !isLocal && !isVerified,
  };
}

const TLS = {
  disable: false,
  'no-verify': { rejectUnauthorized: false },
  require: { rejectUnauthorized: true },
  'verify-ca': { rejectUnauthorized: true, checkServerIdentity: () => undefined },
  'verify-full': { rejectUnauthorized: true },
} as const satisfies Record<string, ConnectionOptions | false>;

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a text in PEM, or null if it holds none or a broken one. */
export function readCertificates(text: string): string[] | null {
  // A dashboard that takes one line writes its ends out.
  const found = text.replaceAll('\\n', '\n').match(CERTIFICATE);
  return found?.every(isCertificate) ? found : null;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).toString() !== '';
  } catch {
    return false;
  }
}
