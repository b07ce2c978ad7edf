/** The service as a process, with connections to Postgres itself instead of the REST API. */
import {
  createTemplate,
  type LocalPostgres,
  readMigrations,
  startPostgres,
  withClient,
} from '@revos/local-stack';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { selfSigned } from '../../../../packages/core/test/support/self-signed.ts';
import { builtProgram } from '../../../../tests/support/built-apps.ts';
import { asOps } from '../support/app.ts';
import {
  type Environment,
  environmentFor,
  type ServerProcess,
  spawnServer,
  startServer,
  startUnipile,
  type UnipileStandIn,
} from '../support/server.ts';

const SERVER = builtProgram(inject('builtApps').jobsApi, 'server');
const PASSWORD = 'w/ord+canary-of-a-login';

let postgres: LocalPostgres;
let unipile: UnipileStandIn;
let url: string;
let environment: Environment;
let server: Omit<ServerProcess, 'port'> | undefined;

beforeAll(async () => {
  postgres = await startPostgres({ tls: selfSigned });
  const template = await createTemplate(postgres.connectionString, { migrations: await readMigrations() });
  const owner = new URL(await postgres.createDatabase('direct', { template }));
  await asSuperuser(`create role jobs login noinherit password '${PASSWORD}' in role service_role`);
  url = Object.assign(owner, {
    username: 'jobs',
    password: encodeURIComponent(PASSWORD),
    search: 'sslmode=verify-full',
  }).href;
  unipile = await startUnipile();
  environment = {
    ...environmentFor({ url: 'https://project.supabase.co', secretKey: '' }, unipile.dsn),
    DATABASE_URL: url,
    DATABASE_CA: selfSigned.cert,
  };
});
afterAll(async () => {
  await unipile.close();
  await postgres.stop();
});
afterEach(async () => {
  server?.child.kill('SIGKILL');
  await server?.exited;
  // Neither the password nor the URL with it is in anything that came out.
  const output = `${server?.stdout()}${server?.stderr()}`;
  expect(output).not.toContain(PASSWORD);
  expect(output).not.toContain(encodeURIComponent(PASSWORD));
  server = undefined;
});

const asSuperuser = (sql: string) => withClient(postgres.connectionString, (client) => client.query(sql));

const sessionsOfJobs = async (): Promise<number> =>
  (
    await asSuperuser(
      "select from pg_stat_activity where usename = 'jobs' and application_name = 'revos-jobs'",
    )
  ).rowCount ?? 0;

async function started(change: Environment = {}): Promise<ServerProcess> {
  const running = await startServer({ ...environment, ...change }, SERVER);
  server = running;
  return running;
}

const get = (port: number, path: string) => fetch(`http://127.0.0.1:${port}${path}`, { headers: asOps });

describe('a service with DATABASE_URL', () => {
  it('is ready and works over TLS, with no key, and leaves no session behind', async () => {
    const { port, child, exited, stderr } = await started();
    expect((await get(port, '/ready')).status).toBe(200);
    expect(await (await get(port, '/api/runs')).json()).toMatchObject({ items: [] });
    expect(await sessionsOfJobs()).toBeGreaterThan(0);
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(stderr()).toBe('');
    await expect.poll(sessionsOfJobs).toBe(0);
  });

  it('outlives its sessions, says that it lost them, and is ready again', async () => {
    const { port, stdout } = await started();
    expect((await get(port, '/ready')).status).toBe(200);
    // One that nobody uses, again and again: a call that takes it up at that moment would say so instead.
    const idle =
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'jobs' and state = 'idle'";
    const saysSo = async () => {
      await get(port, '/ready');
      await asSuperuser(idle);
      return stdout();
    };
    await expect.poll(saysSo).toContain('database connection lost');
    // What is asked on another session that has just ended, before that is known, is told so.
    await expect.poll(async () => (await get(port, '/api/runs')).status).toBe(200);
  });

  it.each([
    { what: 'a wrong password', change: () => ({ DATABASE_URL: url.replace('canary', 'wrong') }) },
    {
      what: 'a login that may not become service_role',
      before: `create role stranger login password '${PASSWORD}'`,
      change: () => ({ DATABASE_URL: url.replace('jobs:', 'stranger:') }),
    },
  ])('refuses to start with $what, and says what to look at', async ({ before, change }) => {
    if (before !== undefined) await asSuperuser(before);
    server = spawnServer({ ...environment, ...change() }, SERVER);
    expect(await server.exited).toBe(1);
    expect(server.stderr()).toContain('DATABASE_URL must have the password of a role');
  });

  it('starts with a certificate that it does not trust, says so, and is not ready', async () => {
    const { port, stdout } = await started({ DATABASE_CA: undefined });
    expect(stdout()).toContain('the database does not answer (DEPTH_ZERO_SELF_SIGNED_CERT)');
    expect((await get(port, '/ready')).status).toBe(503);
  });

  it('ends within its grace while the database is silent', async () => {
    const { port, child, exited, stdout } = await started({ SHUTDOWN_GRACE_SECONDS: '1' });
    expect((await get(port, '/ready')).status).toBe(200);
    await withClient(postgres.connectionString.replace(/\/postgres$/, '/direct'), async (client) => {
      // A lock that the next call waits for, for as long as its time is.
      await client.query('begin; lock table public.job_runs in access exclusive mode');
      const stuck = get(port, '/api/runs').catch(() => null);
      const waiting = "select from pg_stat_activity where usename = 'jobs' and wait_event_type = 'Lock'";
      await expect.poll(async () => (await asSuperuser(waiting)).rowCount).toBeGreaterThan(0);
      child.kill('SIGTERM');
      expect(await exited).toBe(0);
      expect(stdout()).toContain('shut down');
      await stuck;
      await client.query('rollback');
    });
  });
});

describe('a connection that others could read', () => {
  it('is warned of', async () => {
    const exposed = url.replace(/127\.0\.0\.1:\d+/, 'db.invalid').replace('verify-full', 'no-verify');
    const { stdout } = await started({ DATABASE_URL: exposed, DATABASE_CA: undefined });
    expect(stdout()).toContain('DATABASE_URL asks for an unverified connection');
  });
});
