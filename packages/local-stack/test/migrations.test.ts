import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { applyMigrations, type Migration, MigrationError, readMigrations } from '../src/migrations.ts';
import { openPglite, pgliteExec } from '../src/pglite.ts';
import { fixtures } from './fixtures.ts';

describe('readMigrations', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'migrations-'));
    return () => rm(folder, { recursive: true });
  });

  it('reads the repository by default, oldest first', async () => {
    const versions = (await readMigrations()).map(({ version }) => version);
    expect(versions.length).toBeGreaterThan(0);
    expect(versions).toEqual([...versions].sort());
  });

  it('takes version and name from the file name, and nothing but .sql files', async () => {
    await writeFile(path.join(folder, '20260102000000_second_one.sql'), 'select 2');
    await writeFile(path.join(folder, '20260101000000_first.sql'), 'select 1');
    await writeFile(path.join(folder, 'README.md'), '');
    expect(await readMigrations(folder)).toEqual([
      { version: '20260101000000', name: 'first', sql: 'select 1' },
      { version: '20260102000000', name: 'second_one', sql: 'select 2' },
    ]);
  });

  it.each([
    ['a name without a version', ['first.sql'], /Not a migration's name: first.sql/],
    ['a version that comes twice', ['20260101000000_a.sql', '20260101000000_b.sql'], /Two migrations/],
  ])('refuses %s', async (_, files, message) => {
    for (const file of files) await writeFile(path.join(folder, file), '');
    await expect(readMigrations(folder)).rejects.toThrow(message);
  });

  it('refuses a folder that is not there', async () => {
    await expect(readMigrations(path.join(folder, 'none'))).rejects.toThrow('ENOENT');
  });

  it('reads a copy of the folder as the folder itself', async () => {
    await cp(fixtures.folder, folder, { recursive: true });
    expect(await readMigrations(folder)).toEqual(await readMigrations(fixtures.folder));
  });
});

describe('applyMigrations', () => {
  let db: PGlite;
  beforeAll(async () => {
    db = await openPglite({ migrations: [] });
  });
  afterAll(() => db.close());
  beforeEach(() =>
    db.exec(
      'drop schema if exists supabase_migrations cascade; drop schema public cascade; create schema public',
    ),
  );

  const first: Migration = {
    version: '20260101000000',
    name: 'first',
    sql: `create table if not exists public.notes (body text); insert into public.notes values ('it''s a \\ text');`,
  };
  const second: Migration = {
    version: '20260102000000',
    name: 'second',
    sql: `notify pgrst, 'reload schema';`,
  };
  const broken: Migration = {
    version: '20260103000000',
    name: 'broken',
    sql: 'create table t (); select 1/0;',
  };
  const rows = async (sql: string) => (await db.query(sql)).rows;
  const versions = (migrations: readonly Migration[]) => migrations.map(({ version }) => version);

  it('applies each file once, and says which', async () => {
    const exec = pgliteExec(db);
    expect(versions(await applyMigrations(exec, { migrations: [first] }))).toEqual([first.version]);
    expect(versions(await applyMigrations(exec, { migrations: [first, second] }))).toEqual([second.version]);
    expect(await applyMigrations(exec, { migrations: [first, second] })).toEqual([]);
    expect(await rows('select count(*)::int from public.notes')).toEqual([{ count: 1 }]);
  });

  it('keeps the history of the Supabase CLI', async () => {
    await applyMigrations(pgliteExec(db), { migrations: [first] });
    expect(await rows('select * from supabase_migrations.schema_migrations')).toEqual([
      { version: first.version, statements: [first.sql], name: 'first' },
    ]);
  });

  it('applies every file again when asked to', async () => {
    const exec = pgliteExec(db);
    await applyMigrations(exec, { migrations: [first, second] });
    const again = await applyMigrations(exec, { migrations: [first, second], rerun: true });
    expect(versions(again)).toEqual([first.version, second.version]);
    expect(await rows('select count(*)::int from public.notes')).toEqual([{ count: 2 }]);
  });

  it('leaves nothing of a file that fails, keeps those before it, and can go on', async () => {
    const exec = pgliteExec(db);
    const failure = applyMigrations(exec, { migrations: [first, broken] });
    await expect(failure).rejects.toBeInstanceOf(MigrationError);
    await expect(failure).rejects.toMatchObject({
      version: broken.version,
      message: 'Migration 20260103000000_broken failed: division by zero',
    });
    expect(await rows(`select to_regclass('public.t') as t`)).toEqual([{ t: null }]);
    expect(await rows('select version from supabase_migrations.schema_migrations')).toEqual([
      { version: first.version },
    ]);
    const mended = { ...broken, sql: 'create table t ()' };
    expect(versions(await applyMigrations(exec, { migrations: [first, mended] }))).toEqual([broken.version]);
  });
});
