import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { inspect } from 'node:util';
import {
  createTemplate,
  type LocalPostgres,
  readMigrations,
  startPostgres,
  withClient,
} from '@revos/local-stack';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Rpc, RpcError } from '../../src/rpc/index.ts';
import { readDatabaseUrl } from '../../src/rpc/postgres/database-url.ts';
import { createPostgresRpc, type PostgresRpcOptions } from '../../src/rpc/postgres/index.ts';
import { selfSigned } from '../support/self-signed.ts';
import { describeRpc, failureOf, type Implementation, PROBES } from './rpc-suite.ts';

/** What tells of the session that a call had. */
const SESSIONS = {
  version: '20990101000001',
  name: 'sessions',
  sql: `
create function public.probe_session() returns jsonb language sql as $$
  select jsonb_build_object('pid', pg_backend_pid(), 'timeout', current_setting('statement_timeout'),
    'name', current_setting('application_name'), 'zone', current_setting('timezone'),
    'role', current_user,
    'prepared', (select count(*) from pg_catalog.pg_prepared_statements where not from_sql))
$$;
create function public.probe_sleep(p_seconds numeric) returns jsonb language sql as $$
  select to_jsonb(true) from pg_sleep(p_seconds)
$$;
create function public.probe_hurried() returns jsonb language plpgsql set statement_timeout = '50ms' as $$
begin
  perform pg_sleep(20);
  return 'true';
end $$;
create function public.probe_patient(p_code text default null) returns jsonb language plpgsql
set statement_timeout = '60s' as $$
begin
  if p_code is not null then raise exception 'refused' using errcode = p_code; end if;
  return 'true';
end $$;
create table public.probe_owned (a integer);
create function public.probe_read_owned() returns jsonb language sql as $$ select to_jsonb(count(*)) from public.probe_owned $$;
`,
};

interface SessionOfCall {
  readonly pid: number;
  readonly timeout: string;
  readonly name: string;
  readonly zone: string;
  readonly role: string;
  readonly prepared: number;
}

let server: LocalPostgres;
let url: string;

beforeAll(async () => {
  server = await startPostgres({ tls: selfSigned });
  await createTemplate(server.connectionString, {
    migrations: [...(await readMigrations()), PROBES, SESSIONS],
  });
  url = await server.createDatabase('rpc', { template: 'template_migrated' });
});
afterAll(() => server.stop());

function rpcOf(text: string, options: Partial<PostgresRpcOptions> = {}, authorities?: string[]): Rpc {
  const address = readDatabaseUrl(text, authorities);
  if (address === null) throw new Error('not the URL of a database');
  const rpc = createPostgresRpc({ address, onConnectionLost: () => {}, ...options });
  onTestFinished(() => rpc.close());
  return rpc;
}

/** The same database at another host or port, by another login, with another mode. */
function urlWith(
  change: Partial<Record<'hostname' | 'port' | 'username' | 'password' | 'search', string>>,
): string {
  return Object.assign(new URL(url), change).href;
}

const sessionOf = (rpc: Rpc) => rpc.call<SessionOfCall>('probe_session');

/** Whether the session of a call is encrypted, as the server sees it. */
async function isEncrypted(rpc: Rpc): Promise<boolean> {
  const { pid } = await sessionOf(rpc);
  return (await asSuperuser(`select ssl from pg_stat_ssl where pid = ${pid}`)).rows[0]?.ssl;
}

const asSuperuser = (sql: string) => withClient(url, (client) => client.query(sql));

async function overPostgres(): Promise<Implementation> {
  const lost = await startPostgres();
  await createTemplate(lost.connectionString, { migrations: [...(await readMigrations()), PROBES] });
  const address = readDatabaseUrl(await lost.createDatabase('rpc', { template: 'template_migrated' }));
  if (address === null) throw new Error('not the URL of a database');
  const rpc = createPostgresRpc({ address, onConnectionLost: () => {} });
  return { rpc, lose: () => lost.stop(), close: () => rpc.close() };
}

describeRpc('a pool of connections to Postgres', overPostgres);

describe('a session', () => {
  it('is service_role, in UTC, with the time of the REST API and a name of ours', async () => {
    expect(await sessionOf(rpcOf(url))).toMatchObject({
      role: 'service_role',
      zone: 'UTC',
      timeout: '8s',
      name: 'revos-jobs',
    });
  });

  it('of the owner of the schema may do no more than service_role may', async () => {
    expect(await failureOf(rpcOf(url).call('probe_read_owned'))).toMatchObject({
      kind: 'bug',
      code: '42501',
    });
  });

  it('of a login that is only a member is service_role too', async () => {
    await asSuperuser("create role jobs login noinherit password 'word' in role service_role");
    onTestFinished(async () => void (await asSuperuser('drop role jobs')));
    const rpc = rpcOf(urlWith({ username: 'jobs', password: 'word' }));
    expect(await sessionOf(rpc)).toMatchObject({ role: 'service_role' });
    await rpc.close();
  });

  it('of a login that may not become service_role has its own rights, and the functions are closed to it', async () => {
    await asSuperuser("create role stranger login password 'word'");
    onTestFinished(async () => void (await asSuperuser('drop role stranger')));
    const rpc = rpcOf(urlWith({ username: 'stranger', password: 'word' }));
    expect(await failureOf(rpc.call('system_probe'))).toMatchObject({ kind: 'bug', code: '42501' });
    await rpc.close();
  });

  it('keeps its statements prepared, one for each function and set of arguments', async () => {
    const rpc = rpcOf(url, { connectionsMax: 1 });
    for (let count = 0; count < 3; count += 1) await rpc.call('probe_echo', { count });
    const before = (await sessionOf(rpc)).prepared;
    for (let count = 0; count < 20; count += 1) await rpc.call('probe_echo', { count });
    expect((await sessionOf(rpc)).prepared).toBe(before);
    await rpc.call('probe_echo', { text: 'another set' });
    expect((await sessionOf(rpc)).prepared).toBe(before + 1);
  });

  it('prepares so many statements, and no more', async () => {
    const rpc = rpcOf(url, { connectionsMax: 1 });
    const names = ['json', 'text', 'uuids', 'at', 'count', 'flag', 'now'];
    // 128 sets of arguments in each of two orders.
    for (let set = 0; set < 256; set += 1) {
      const chosen = names.filter((_, bit) => set & (1 << bit));
      if (set >= 128) chosen.reverse();
      await rpc.call('probe_echo', Object.fromEntries(chosen.map((name) => [name, null])));
    }
    expect((await sessionOf(rpc)).prepared).toBe(200);
  });

  it('is used again after what the database refused', async () => {
    const rpc = rpcOf(url, { connectionsMax: 1 });
    const { pid } = await sessionOf(rpc);
    await failureOf(rpc.call('probe_refuse', { code: 'DM021' }));
    await failureOf(rpc.call('probe_refuse', { code: '40001' }));
    await failureOf(rpc.call('probe_nothing'));
    expect(await sessionOf(rpc)).toMatchObject({ pid });
  });

  it('a function that a migration replaces by one with another parameter is called rightly', async () => {
    const rpc = rpcOf(url);
    expect(await failureOf(rpc.call('probe_later', { n: 1 }))).toMatchObject({ kind: 'bug' });
    await asSuperuser(
      'create function public.probe_later(p_n integer) returns integer language sql as $$ select p_n $$',
    );
    expect(await rpc.call('probe_later', { n: 1 })).toBe(1);
    await asSuperuser(
      'drop function public.probe_later; create function public.probe_later(p_n integer[]) returns jsonb language sql as $$ select to_jsonb(p_n) $$',
    );
    // The one that was known is gone; that it is, is learnt by calling it.
    expect(await failureOf(rpc.call('probe_later', { n: [1] }))).toMatchObject({ kind: 'bug' });
    expect(await rpc.call('probe_later', { n: [1] })).toEqual([1]);
  });
});

describe('the pool', () => {
  it('has so many sessions and no more, and a call waits for one', async () => {
    const rpc = rpcOf(url, { connectionsMax: 2 });
    const sessions = await Promise.all(Array.from({ length: 20 }, () => sessionOf(rpc)));
    expect(new Set(sessions.map(({ pid }) => pid)).size).toBeLessThanOrEqual(2);
  });

  it('lets a call wait no longer than its time', async () => {
    const rpc = rpcOf(url, { connectionsMax: 1, timeoutMs: 3_000 });
    const held = failureOf(rpc.call('probe_sleep', { seconds: 20 }));
    const waited = failureOf(rpc.call('probe_list'));
    expect(await waited).toMatchObject({ kind: 'unavailable', code: '' });
    expect(await held).toMatchObject({ kind: 'unavailable', code: '' });
    // The session that is still busy was left, and a new one made.
    expect(await rpc.call('probe_list')).toEqual([1, 2]);
  });

  it('is closed once, and then calls fail', async () => {
    const rpc = rpcOf(url);
    await rpc.call('probe_list');
    await Promise.all([rpc.close(), rpc.close()]);
    const error = await failureOf(rpc.call('probe_list'));
    expect(error).toMatchObject({ kind: 'unavailable', code: '' });
    expect(error.message).toBe('probe_list: no answer (CLOSED)');
  });

  it('leaves no session when it is closed', async () => {
    const rpc = rpcOf(url, { connectionsMax: 3 });
    const pids = await Promise.all(Array.from({ length: 10 }, async () => (await sessionOf(rpc)).pid));
    await rpc.close();
    const alive = async () =>
      (await asSuperuser(`select from pg_stat_activity where pid in (${pids.join()})`)).rowCount;
    await expect.poll(alive).toBe(0);
  });
});

describe('time', () => {
  it('of a function’s own is given to it, and to it alone', async () => {
    // Less than every other function has: the call would be given up before the database ends it.
    const rpc = rpcOf(url, { connectionsMax: 1, timeoutMs: 5_000 });
    expect(await failureOf(rpc.call('probe_hurried'))).toMatchObject({ kind: 'unavailable', code: '57014' });
    expect(await sessionOf(rpc)).toMatchObject({ timeout: '8s' });
    expect(await rpc.call('probe_patient')).toBe(true);
    expect(await sessionOf(rpc)).toMatchObject({ timeout: '8s' });
    expect(await failureOf(rpc.call('probe_patient', { code: 'DM021' }))).toMatchObject({ kind: 'rule' });
    expect(await sessionOf(rpc)).toMatchObject({ timeout: '8s' });
  });

  it('is counted from the call on: what it waits for a session is gone', async () => {
    const rpc = rpcOf(url, { connectionsMax: 1, timeoutMs: 5_000 });
    await rpc.call('probe_sleep', { seconds: 0 });
    const first = rpc.call('probe_sleep', { seconds: 3 });
    // It has a session after three seconds, and would be done after six.
    const second = failureOf(rpc.call('probe_sleep', { seconds: 3 }));
    expect(await first).toBe(true);
    expect((await second).message).toBe('probe_sleep: no answer within 5000 ms');
  });

  it('runs out for a call that has none left, wherever it hangs', async () => {
    const { port } = await silentServer();
    const rpc = rpcOf(urlWith({ port: String(port) }), { timeoutMs: 200 });
    expect(await failureOf(rpc.call('probe_list'))).toMatchObject({ kind: 'unavailable', code: '' });
  });
});

describe('an action that waits for who waits for it', () => {
  it('is ended by Postgres, and made again: it is carried out once', async () => {
    const [account] = (
      await asSuperuser(
        `insert into linkedin_accounts (account_name, unipile_account_id) values ('Ada', 'u-ada') returning id`,
      )
    ).rows;
    const [message] = (
      await asSuperuser(
        `insert into dm_queue (linkedin_account_id, recipient_id, message) values ('${account.id}', 'ACoAAdeadlock', 'Hi') returning id`,
      )
    ).rows;
    // The first of the two that waits for so long is ended: it is to be the action.
    await asSuperuser(`alter database rpc set deadlock_timeout = '3s'`);
    onTestFinished(async () => void (await asSuperuser('alter database rpc reset deadlock_timeout')));

    const cancel = () =>
      rpcOf(url).call<{ changed: number }>('dm_act', {
        action: 'cancel',
        selection: { ids: [message.id] },
        args: {},
        dry_run: false,
        actor: 'ada',
      });
    const cancelled = await withClient(url, async (other) => {
      await other.query(`set deadlock_timeout = '10min'`);
      await other.query('begin');
      await other.query('select from dm_queue where id = $1 for update', [message.id]);
      const answer = cancel();
      const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'revos-jobs'`;
      await expect.poll(async () => (await asSuperuser(waiting)).rowCount).toBe(1);
      // It waits for the message with the account in its hands; this one asks for the account.
      await other.query('select from account_policies where account_id = $1 for update', [account.id]);
      await other.query('commit');
      return answer;
    });
    expect(cancelled).toMatchObject({ changed: 1 });
    const deadlocks = 'select deadlocks from pg_stat_database where datname = current_database()';
    await expect.poll(async () => (await asSuperuser(deadlocks)).rows).toEqual([{ deadlocks: '1' }]);
    const audited = `select from audit_log where action = 'message.cancel' and subject = '${message.id}'`;
    expect((await asSuperuser(audited)).rowCount).toBe(1);
  });
});

describe('a session that is lost', () => {
  it('by a reset in the middle of a call fails it, and nothing else', async () => {
    const relay = await silentRelay();
    const rpc = rpcOf(urlWith({ port: String(relay.port) }), { connectionsMax: 1 });
    const running = failureOf(rpc.call('probe_sleep', { seconds: 20 }));
    const sleepers =
      "select from pg_stat_activity where state = 'active' and query like 'select to_json(public.probe_sleep(%'";
    await expect.poll(async () => (await asSuperuser(sleepers)).rowCount).toBe(1);
    relay.reset();
    const error = await running;
    expect(error).toMatchObject({ kind: 'unavailable', code: '' });
    expect(error.message).toBe('probe_sleep: no answer (ECONNRESET)');
    expect(await rpc.call('probe_list')).toEqual([1, 2]);
    // The server does not know yet that nobody waits.
    await asSuperuser(
      "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select to_json(public.probe_sleep(%'",
    );
  });

  it('in the middle of a call fails it, and no other', async () => {
    const rpc = rpcOf(url, { connectionsMax: 2 });
    const running = failureOf(rpc.call('probe_sleep', { seconds: 20 }));
    const pidOfSleeper = `select pid from pg_stat_activity where query like '%probe_sleep(p_seconds%' and state = 'active'
      and pid <> pg_backend_pid()`;
    await expect.poll(async () => (await asSuperuser(pidOfSleeper)).rowCount).toBe(1);
    await asSuperuser(`select pg_terminate_backend(pid) from (${pidOfSleeper}) as sleeper`);
    expect(await running).toMatchObject({ kind: 'unavailable', code: '57P01' });
    expect(await rpc.call('probe_list')).toEqual([1, 2]);
  });

  it('between two calls is told of, and another takes its place', async () => {
    const told = Promise.withResolvers<Error>();
    const rpc = rpcOf(url, { connectionsMax: 1, onConnectionLost: told.resolve });
    const { pid } = await sessionOf(rpc);
    await asSuperuser(`select pg_terminate_backend(${pid})`);
    expect(await told.promise).toMatchObject({ code: '57P01' });
    const next = await sessionOf(rpc);
    expect(next.pid).not.toBe(pid);
    expect(next).toMatchObject({ role: 'service_role', timeout: '8s' });
  });

  it('without a word is waited for as long as a call may take, and left', async () => {
    const relay = await silentRelay();
    const rpc = rpcOf(urlWith({ port: String(relay.port) }), { connectionsMax: 1, timeoutMs: 3_000 });
    await rpc.call('probe_list');
    relay.fallSilent();
    const error = await failureOf(rpc.call('probe_list'));
    expect(error).toMatchObject({ kind: 'unavailable', code: '' });
    expect(await rpc.call('probe_list')).toEqual([1, 2]);
  });
});

describe('a server that stops and comes back', () => {
  it('is unavailable meanwhile, and answers again', async () => {
    const other = await startPostgres({ durable: true });
    onTestFinished(() => other.stop());
    const rpc = rpcOf(other.connectionString);
    await withClient(other.connectionString, (client) =>
      client.query(
        'create function public.alive() returns jsonb language sql as $$ select to_jsonb(true) $$',
      ),
    );
    expect(await Promise.all(Array.from({ length: 5 }, () => rpc.call('alive')))).toContain(true);
    await other.kill();
    // Each of its sessions takes a moment to notice; a new one is tried once none is left.
    const verdict = () => rpc.call('alive').then(String, (error: unknown) => (error as RpcError).message);
    await expect.poll(verdict, { timeout: 10_000 }).toBe('alive: no answer (ECONNREFUSED)');
    const refused = await failureOf(rpc.call('never_called_before', { a: 1 }));
    expect(refused).toMatchObject({ kind: 'unavailable' });
    expect(refused.message).toBe('never_called_before: no answer (ECONNREFUSED)');
    await other.restart();
    expect(await rpc.call('alive')).toBe(true);
    // What could not be looked up is not remembered as missing.
    expect(await failureOf(rpc.call('never_called_before', { a: 1 }))).toMatchObject({ kind: 'bug' });
  });
});

describe('TLS', () => {
  it('is spoken where it is asked for, with a server whose certificate is trusted', async () => {
    const rpc = rpcOf(urlWith({ search: 'sslmode=verify-full' }), {}, [selfSigned.cert]);
    expect(await isEncrypted(rpc)).toBe(true);
    expect(await isEncrypted(rpcOf(url))).toBe(false);
  });

  it.each(['verify-full', 'verify-ca', 'require'])(
    '%s refuses a certificate that nobody trusts',
    async (mode) => {
      const error = await failureOf(rpcOf(urlWith({ search: `sslmode=${mode}` })).call('probe_list'));
      expect(error).toMatchObject({ kind: 'unavailable', code: '' });
      expect(error.message).toBe('probe_list: no answer (DEPTH_ZERO_SELF_SIGNED_CERT)');
    },
  );

  it('no-verify takes it, encrypted', async () => {
    expect(await isEncrypted(rpcOf(urlWith({ search: 'sslmode=no-verify' })))).toBe(true);
  });

  it('verify-full refuses a certificate of another host, which verify-ca takes', async () => {
    const relay = await silentRelay('127.0.0.2');
    const elsewhere = { hostname: '127.0.0.2', port: String(relay.port) };
    const full = rpcOf(urlWith({ ...elsewhere, search: 'sslmode=verify-full' }), {}, [selfSigned.cert]);
    const error = await failureOf(full.call('probe_list'));
    expect(error.message).toBe('probe_list: no answer (ERR_TLS_CERT_ALTNAME_INVALID)');
    const ca = rpcOf(urlWith({ ...elsewhere, search: 'sslmode=verify-ca' }), {}, [selfSigned.cert]);
    expect(await isEncrypted(ca)).toBe(true);
    await ca.close();
  });

  it('is not done without where the server has none', async () => {
    const plain = await startPostgres();
    onTestFinished(() => plain.stop());
    const { href } = Object.assign(new URL(plain.connectionString), { search: 'sslmode=require' });
    const error = await failureOf(rpcOf(href).call('probe_list'));
    expect(error.message).toBe('probe_list: no answer (SERVER_WITHOUT_TLS)');
  });
});

describe('the password', () => {
  it('and the address are in no error', async () => {
    const relay = await silentRelay();
    const wrong = { username: 'canary-user', password: 'canary-word' };
    const cases = [
      urlWith(wrong),
      urlWith({ ...wrong, port: '1' }),
      urlWith({ ...wrong, hostname: 'canary-host.invalid' }),
      urlWith({ ...wrong, search: 'sslmode=verify-full' }),
      urlWith({ ...wrong, port: String(relay.port) }),
    ];
    relay.fallSilent();
    for (const text of cases) {
      const error = await failureOf(rpcOf(text, { timeoutMs: 1_000 }).call('probe_list'));
      const told = `${error.message} ${JSON.stringify(error)}`;
      expect(told).not.toMatch(/canary-(word|host)/);
      // What is thrown below it is logged by its type and code alone; still, it has no password.
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('canary-word');
    }
  });

  it('that is wrong is a bug: no retry helps', async () => {
    const error = await failureOf(rpcOf(urlWith({ password: 'wrong' })).call('probe_list'));
    expect(error).toMatchObject({ kind: 'bug', code: '28P01' });
  });
});

interface Listening {
  readonly port: number;
}

/** Takes connections and says nothing. */
async function silentServer(): Promise<Listening> {
  return listen(() => {});
}

/**
 * Hands on what is said to the server, until it falls silent: then what is open stays open, and new
 * ones work. Or it resets what is open, as a router does that has forgotten it.
 */
async function silentRelay(host = '127.0.0.1'): Promise<Listening & { fallSilent(): void; reset(): void }> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const { port } = await listen((socket) => {
    const onward = connect(server.port, '127.0.0.1');
    onward.on('error', () => socket.destroy());
    onward.on('close', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    socket.pipe(onward).pipe(socket);
    pairs.add([socket, onward]);
  }, host);
  return {
    port,
    fallSilent() {
      for (const [socket, onward] of pairs) {
        socket.unpipe(onward);
        onward.unpipe(socket);
      }
    },
    reset() {
      for (const [socket] of pairs) socket.resetAndDestroy();
    },
  };
}

async function listen(onConnection: (socket: Socket) => void, host = '127.0.0.1'): Promise<Listening> {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  listener.listen(0, host);
  await once(listener, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return { port: (listener.address() as AddressInfo).port };
}
