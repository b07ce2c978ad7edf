import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { applyMigrations, type Migration, readMigrations } from '../src/migrations.ts';
import { type LocalPostgres, startPostgres } from '../src/postgres.ts';
import {
  createTemplate,
  dropDatabase,
  migratePostgres,
  pgExec,
  withClient,
} from '../src/postgres-databases.ts';
import { fixtures } from './fixtures.ts';

const holder = fileURLToPath(new URL('./postgres-holder.ts', import.meta.url));

/** Asks again and again, for at most 15 s. */
async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = AbortSignal.timeout(15_000);
  while (!(await condition())) {
    if (deadline.aborted) throw new Error(`Still not so after 15 s: ${what}`);
    await pause(20);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const rowsOf = (url: string, sql: string) =>
  withClient(url, async (client) => (await client.query(sql)).rows as Record<string, unknown>[]);

const folderOf = async (url: string) =>
  path.dirname(String((await rowsOf(url, 'show data_directory'))[0]?.data_directory));

describe('a running server', () => {
  let postgres: LocalPostgres;
  let migrations: Migration[];

  beforeAll(async () => {
    migrations = await readMigrations(fixtures.folder);
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());

  it('is Postgres 18 in UTC and UTF-8, with room for 200 connections', async () => {
    const [row] = await rowsOf(
      postgres.connectionString,
      `select current_setting('server_version_num')::int / 10000 as major, current_setting('timezone') as zone,
         current_setting('max_connections') as connections, current_setting('server_encoding') as encoding`,
    );
    expect(row).toEqual({ major: 18, zone: 'UTC', connections: '200', encoding: 'UTF8' });
  });

  it('lets nobody in without the password', async () => {
    const url = new URL(postgres.connectionString);
    url.password = 'wrong';
    await expect(rowsOf(url.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('gives a new table to no role until it is granted', async () => {
    const url = await postgres.createDatabase('bare');
    await withClient(url, async (client) => {
      await client.query('create table public.fresh (id int)');
      for (const role of ['anon', 'authenticated', 'service_role']) {
        await client.query(`set role ${role}`);
        await expect(client.query('select * from public.fresh')).rejects.toMatchObject({ code: '42501' });
        await client.query('reset role');
      }
      await client.query('grant select on public.fresh to service_role; set role service_role');
      expect((await client.query('select * from public.fresh')).rows).toEqual([]);
    });
  });

  it('clones a template, each clone on its own, several at once', async () => {
    const template = await createTemplate(postgres.connectionString, { migrations });
    const urls = await Promise.all(
      Array.from({ length: 4 }, (_, index) => postgres.createDatabase(`clone_${index}`, { template })),
    );
    const [first, ...others] = urls;
    await rowsOf(String(first), 'insert into public.tasks values (1)');
    for (const url of others) expect(await rowsOf(url, 'select id from public.tasks')).toEqual([]);
  });

  it('refuses a name that is taken, and drops a database that is in use', async () => {
    const url = await postgres.createDatabase('taken');
    await expect(postgres.createDatabase('taken')).rejects.toMatchObject({ code: '42P04' });
    await withClient(url, async (client) => {
      const cutOff = new Promise((resolve) => client.once('end', resolve));
      await dropDatabase(postgres.connectionString, 'taken');
      await cutOff;
    });
    await dropDatabase(postgres.connectionString, 'taken');
    await expect(rowsOf(url, 'select 1')).rejects.toMatchObject({ code: '3D000' });
  });

  it('is migrated once by several at once', async () => {
    const url = await postgres.createDatabase('race');
    const once: Migration = { version: '20260101000000', name: 'once', sql: 'create table public.once ()' };
    const applied = await Promise.all(
      Array.from({ length: 6 }, () =>
        withClient(url, (client) => applyMigrations(pgExec(client), { migrations: [once] })),
      ),
    );
    expect(applied.flat()).toEqual([once]);
  });

  it('applies every fixture twice', async () => {
    const url = await postgres.createDatabase('twice');
    await migratePostgres(url, migrations);
    const again = await withClient(url, (client) =>
      applyMigrations(pgExec(client), { migrations, rerun: true }),
    );
    expect(again).toEqual(migrations);
  });

  it('comes back after SIGKILL, on the same port, with what was committed', async () => {
    const url = await postgres.createDatabase('crash');
    await rowsOf(url, 'create table public.kept as select 1 as id');
    const before = postgres.pid();
    await postgres.kill();
    expect(postgres.pid()).toBeNull();
    await expect(rowsOf(url, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await postgres.restart();
    expect(postgres.pid()).not.toBe(before);
    expect(await rowsOf(url, 'select id from public.kept')).toEqual([{ id: 1 }]);
  });

  it('comes back after SIGKILL in the middle of a transaction, without it', async () => {
    const url = await postgres.createDatabase('open');
    await rowsOf(url, 'create table public.written (id int)');
    await withClient(url, async (client) => {
      await client.query('begin; insert into public.written values (1)');
      await postgres.kill();
      await postgres.restart();
    });
    expect(await rowsOf(url, 'select id from public.written')).toEqual([]);
  });
});

describe('a folder', () => {
  it('that is given is kept and reused; a temporary one is removed', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'postgres-'));
    try {
      const before = await startPostgres({ folder, durable: true });
      await rowsOf(before.connectionString, 'create table public.kept as select 1 as id');
      expect(await rowsOf(before.connectionString, 'show fsync')).toEqual([{ fsync: 'on' }]);
      await before.stop();
      await before.stop();
      await expect(before.restart()).rejects.toThrow('stopped');

      const after = await startPostgres({ folder });
      expect(await rowsOf(after.connectionString, 'select id from public.kept')).toEqual([{ id: 1 }]);
      await after.stop();
      await access(path.join(folder, 'data', 'PG_VERSION'));
    } finally {
      await rm(folder, { recursive: true });
    }

    const temporary = await startPostgres();
    const removed = await folderOf(temporary.connectionString);
    await temporary.stop();
    await expect(access(removed)).rejects.toThrow('ENOENT');
  });

  it('that another server uses is refused', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'postgres-'));
    const first = await startPostgres({ folder });
    try {
      await expect(startPostgres({ folder })).rejects.toThrow('lock file');
      expect(await rowsOf(first.connectionString, 'select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      await first.stop();
      await rm(folder, { recursive: true });
    }
  });
});

describe('the process that started a server', () => {
  /** Runs the holder and gives its server, once that is up. */
  async function hold(ending: string, options: { uid?: number; gid?: number } = {}) {
    const child: ChildProcess = spawn(process.execPath, [holder, ending], {
      stdio: ['pipe', 'pipe', 'ignore'],
      ...options,
    });
    if (!child.stdout) throw new Error('The holder has no output');
    const [line] = await once(createInterface({ input: child.stdout }), 'line', {
      signal: AbortSignal.timeout(20_000),
    });
    const { pid, url } = JSON.parse(String(line)) as { pid: number; url: string };
    return { child, pid, url };
  }

  async function expectNothingLeft(pid: number, folder: string | undefined) {
    await until(() => !isAlive(pid), 'the server is gone');
    if (folder) {
      await until(() => access(folder).then(...([() => false, () => true] as const)), 'its folder is gone');
    }
  }

  it.each(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'may end by %s: nothing is left',
    async (signal) => {
      const { child, pid, url } = await hold('wait');
      const folder = await folderOf(url);
      child.kill(signal);
      await expectNothingLeft(pid, folder);
    },
  );

  it.each(['exit', 'crash'])('may end by %s: nothing is left', async (ending) => {
    const { pid } = await hold(ending);
    await expectNothingLeft(pid, undefined);
  });

  it.runIf(process.getuid?.() === 0)('need not be root', async () => {
    const { child, pid, url } = await hold('wait', { uid: 65534, gid: 65534 });
    const folder = await folderOf(url);
    expect(await rowsOf(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    child.kill('SIGTERM');
    await expectNothingLeft(pid, folder);
  });
});
