/**
 * Nobody gets in: every table and function of ours is closed to the browser's roles.
 *
 * What is checked is found in the catalog, so a new table or function is covered by itself. Two
 * kinds of project: one where nothing is granted by default, and an older one where Supabase
 * granted everything on new objects to everybody.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { applyMigrations, olderDefaultGrantsSql, pgExec, withClient } from '@revos/local-stack';
import type pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { migrationsUnderTest } from '../support/migrations.ts';
import { findOpenDoors } from '../support/open-doors.ts';
import { emptyDatabase } from '../support/test-postgres.ts';

const DEFAULT_GRANTS = `select defaclobjtype as kind, defaclacl::text as acl from pg_default_acl order by 1`;

const urls: Record<string, string> = {};
const defaultGrants: Record<string, Row[]> = {};

beforeAll(async () => {
  const migrations = await migrationsUnderTest();
  for (const [project, grants] of Object.entries({ closed: '', older: olderDefaultGrantsSql })) {
    urls[project] = await emptyDatabase();
    // In the order of an older project: the grants are there before our tables are.
    await withClient(urls[project], async (client) => {
      await client.query(grants);
      defaultGrants[project] = (await client.query<Row>(DEFAULT_GRANTS)).rows;
      await applyMigrations(pgExec(client), { migrations });
    });
  }
});

type Row = Record<string, unknown>;
const ask = (project: string, text: string): Promise<Row[]> =>
  withClient(urls[project] ?? '', async (client) => (await client.query<Row>(text)).rows);

/** The doors that the browser's roles can open once a statement was made, which is then undone. */
const doorsOf = (project: string, statement = ''): Promise<string[]> =>
  withClient(urls[project] ?? '', async (client) => {
    await client.query('begin');
    await client.query(statement);
    return findOpenDoors(async (text) => (await client.query<Row>(text)).rows);
  });

const OPENED = [
  {
    what: 'a table open to PUBLIC',
    statement: 'grant insert on dm_queue to public',
    doors: ['anon: table dm_queue: insert', 'authenticated: table dm_queue: insert'],
  },
  {
    what: 'an open column',
    statement: 'grant update (message) on dm_queue to authenticated',
    doors: ['authenticated: column dm_queue.message: update'],
  },
  {
    what: 'an open sequence',
    statement: 'grant usage on sequence dm_queue_position_seq to anon',
    doors: ['anon: sequence dm_queue_position_seq: usage'],
  },
  {
    what: 'an open materialized view',
    statement: 'grant select on analytics_platform_daily to anon',
    doors: ['anon: materialized view analytics_platform_daily: select'],
  },
  {
    what: 'an open function',
    statement: 'grant execute on function dm_counts to anon',
    doors: ['anon: function dm_counts(timestamp with time zone): execute'],
  },
  {
    what: 'an open trigger function',
    statement: 'grant execute on function dm_queue_after_insert to authenticated',
    doors: ['authenticated: function dm_queue_after_insert(): execute'],
  },
  {
    what: 'a role to become',
    statement: 'grant service_role to anon',
    doors: ['anon: role service_role: member'],
  },
  {
    what: 'a schema to create in',
    statement: 'grant create on schema public to authenticated',
    doors: ['authenticated: schema public: create'],
  },
  {
    what: 'an open table of another schema',
    statement: `create schema planted; grant usage on schema planted to anon;
      create table planted.one (id integer); grant select on planted.one to anon`,
    doors: ['anon: table planted.one: select'],
  },
];

/**
 * The only function that runs as its owner: a materialized view is refreshed by its owner alone
 * before Postgres 17. It uses no argument, and what it names is written out in full.
 */
const AS_OWNER = ['analytics_views_refresh'];

/**
 * Postgres looks for types and tables in pg_temp before anything else, unless the path says where
 * it stands.
 */
const OWNERS_PATH = 'search_path=pg_catalog, pg_temp';
const CALLERS_PATH = 'search_path=""';

const TABLES = `
  select c.oid, c.relname as name, c.relkind as kind, c.relrowsecurity as row_security,
    (select count(*)::int from pg_policy where polrelid = c.oid) as policies
  from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') order by 2`;
const FUNCTIONS = `
  select f.oid, f.oid::regprocedure::text as name, f.proname, f.prosecdef as definer, f.proconfig as config,
    (select array_agg('null::' || format_type(type, null)) from unnest(f.proargtypes) as type) as arguments,
    f.prorettype = 'trigger'::regtype as is_trigger
  from pg_proc as f where f.pronamespace = 'public'::regnamespace order by 2`;

/** The SQLSTATE that a role gets for a statement. */
async function stateAs(client: pg.Client, role: string, statement: string): Promise<string> {
  await client.query(`set role ${role}`);
  try {
    await client.query(statement);
    return 'allowed';
  } catch (error) {
    return String((error as { code?: string }).code);
  } finally {
    await client.query('reset role');
  }
}

describe.each(['closed', 'older'])('on a project whose default grants are %s', (project) => {
  it('every table has row-level security, no policy, and is granted to service_role alone', async () => {
    const tables = await ask(project, TABLES);
    expect(tables.length).toBeGreaterThanOrEqual(7);
    // A materialized view can have no row-level security: its grant is all that stands before it.
    const isView = ({ kind }: Row) => kind === 'm';
    expect(tables.filter(isView).map(({ name }) => name)).toEqual(['analytics_platform_daily']);
    expect(tables.filter((table) => table.row_security !== !isView(table) || table.policies !== 0)).toEqual(
      [],
    );

    const grants = await ask(
      project,
      `select table_name, grantee, array_agg(distinct privilege_type::text order by privilege_type::text)::text as privileges
       from (
         select c.relname as table_name, x.grantee::regrole::text as grantee, x.privilege_type
         from pg_class as c cross join lateral aclexplode(c.relacl) as x
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and x.grantee <> c.relowner
       ) as granted where privilege_type <> 'MAINTAIN' group by 1, 2 order by 1, 2`,
    );
    expect([...new Set(grants.map((grant) => grant.grantee))]).toEqual(['service_role']);
    expect(grants).toHaveLength(tables.length);
    const views = tables.filter(isView).map(({ name }) => name);
    for (const { table_name, privileges } of grants) {
      const wanted = views.includes(table_name) ? ['SELECT'] : ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];
      for (const privilege of wanted) expect(privileges).toContain(privilege);
    }
  });

  it('the catalog has no door that the browser’s roles could open', async () => {
    expect(await doorsOf(project)).toEqual([]);
  });

  it.each(OPENED)('$what is told', async ({ statement, doors }) => {
    expect(await doorsOf(project, statement)).toEqual(doors);
  });

  it('whatever a later migration makes is looked at by itself', async () => {
    const doors = await doorsOf(
      project,
      `create table planted_table (id bigint generated always as identity);
       create view planted_view as select 1 as one;
       create materialized view planted_cache as select 1 as one;
       create function planted_function() returns integer language sql as 'select 1';
       create function planted_trigger() returns trigger language plpgsql as 'begin return null; end';
       create type planted_type as enum ('one')`,
    );
    const opened = new Set(doors.map((door) => door.split(': ')[1]));
    // Postgres itself opens functions and types; an older project opens the rest as well.
    const always = ['function planted_function()', 'function planted_trigger()', 'type planted_type'];
    const older = [
      'materialized view planted_cache',
      'sequence planted_table_id_seq',
      'table planted_table',
      'view planted_view',
    ];
    expect([...opened].sort()).toEqual(project === 'older' ? [...always, ...older].sort() : always);
  });

  it('the project’s default grants are as they were before the migrations', async () => {
    expect(await ask(project, DEFAULT_GRANTS)).toEqual(defaultGrants[project]);
  });

  it('every function runs as its caller with an empty search path, and only service_role may call it', async () => {
    const functions = await ask(project, FUNCTIONS);
    expect(functions.length).toBeGreaterThan(30);
    const wrong = functions.filter(
      ({ proname, definer, config }) =>
        definer !== AS_OWNER.includes(String(proname)) ||
        !(config as string[] | null)?.includes(definer ? OWNERS_PATH : CALLERS_PATH),
    );
    expect(wrong.map(({ name }) => name)).toEqual([]);

    const allowed = await ask(
      project,
      `select role, count(*)::int as functions from pg_proc as f
       cross join unnest(array['anon', 'authenticated', 'service_role']) as role
       where f.pronamespace = 'public'::regnamespace and has_function_privilege(role, f.oid, 'execute') group by role`,
    );
    expect(allowed).toEqual([{ role: 'service_role', functions: functions.length }]);
    const open = await ask(
      project,
      `select f.proname from pg_proc as f cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as x
       where f.pronamespace = 'public'::regnamespace and x.grantee = 0`,
    );
    expect(open).toEqual([]);
  });

  it.each(['anon', 'authenticated'])('%s is refused by every table and every function', async (role) => {
    const [tables, functions] = [await ask(project, TABLES), await ask(project, FUNCTIONS)];
    const statements = [
      ...tables.flatMap(({ name }) => [
        `select 1 from public.${name}`,
        `insert into public.${name} default values`,
        `delete from public.${name}`,
      ]),
      ...functions
        .filter(({ is_trigger }) => !is_trigger)
        .map(
          ({ proname, arguments: given }) =>
            `select public.${proname}(${((given as string[]) ?? []).join(', ')})`,
        ),
    ];
    const states = await withClient(urls[project] ?? '', async (client) => {
      const answers: string[] = [];
      for (const statement of statements)
        answers.push(`${await stateAs(client, role, statement)} ${statement}`);
      return answers;
    });
    expect(states.filter((state) => !state.startsWith('42501 '))).toEqual([]);
  });

  it('no function that forbids a kind of plan has its statements compiled: before Postgres 18 they would look dear', async () => {
    const configs = (await ask(project, FUNCTIONS)).map(({ config }) => (config as string[] | null) ?? []);
    const forbidding = configs.filter((config) => config.some((setting) => /^enable_\w+=off$/.test(setting)));
    expect(forbidding.length).toBeGreaterThan(30);
    expect(forbidding.filter((config) => !config.includes('jit=off'))).toEqual([]);
  });

  it('service_role sees what it must', async () => {
    const probe = await withClient(urls[project] ?? '', async (client) => {
      await client.query('set role service_role');
      return (
        await client.query<{ probe: { can_see: Record<string, boolean> } }>('select system_probe() as probe')
      ).rows[0]?.probe;
    });
    expect(Object.values(probe?.can_see ?? {})).toEqual(Array(17).fill(true));
  });

  it('the probe tells a role that sees nothing', async () => {
    const seen = await withClient(urls[project] ?? '', async (client) => {
      await client.query('begin');
      await client.query('create role blind nologin; grant usage on schema public to blind');
      await client.query('grant execute on function public.system_probe to blind');
      await client.query('grant select on public.dm_queue to blind');
      await client.query('set local role blind');
      const { rows } = await client.query<{ probe: { can_see: Record<string, boolean> } }>(
        'select system_probe() as probe',
      );
      await client.query('rollback');
      return rows[0]?.probe.can_see;
    });
    expect([...new Set(Object.values(seen ?? {}))]).toEqual([false]);
  });
});

describe('who has no more than the service has', () => {
  /** The names that a definer may take for what stands in pg_catalog. */
  const TYPES = ['regclass', 'oid', 'text', 'name', 'bool', 'jsonb', 'timestamptz', 'int4'];
  const RELATIONS = ['pg_class', 'pg_namespace', 'pg_type'];

  /** A login as docs/environment.md makes one: it is the service, and nobody else. */
  async function asTheService<Answer>(work: (client: pg.Client) => Promise<Answer>): Promise<Answer> {
    const url = new URL(urls.closed ?? '');
    await withClient(url.href, (owner) =>
      owner.query(`drop role if exists revos_jobs; create role revos_jobs login noinherit password 'a';
        grant service_role to revos_jobs`),
    );
    url.username = 'revos_jobs';
    url.password = 'a';
    return withClient(url.href, async (client) => {
      await client.query('set role service_role');
      return work(client);
    });
  }

  it('does not become the owner by types and tables of its own in pg_temp', async () => {
    const became = await asTheService(async (client) => {
      // It tells whoever evaluates it, whichever type and table the function takes for the catalog's.
      await client.query(`
        create function pg_temp.tell(value anyelement) returns boolean language plpgsql as
          $$ begin perform pg_catalog.set_config('attack.became',
            pg_catalog.current_setting('attack.became', true) || ' ' || current_user, false); return true; end $$;
        set attack.became = 'began'`);
      for (const name of TYPES) {
        await client.query(
          `create domain pg_temp.${name} as pg_catalog.${name} check (pg_temp.tell(value::pg_catalog.${name}))`,
        );
      }
      for (const name of RELATIONS) {
        await client.query(`create view pg_temp.${name} as
          select * from pg_catalog.${name} where pg_temp.tell(1)`);
      }
      // The trap works where nothing guards against it.
      await client.query(`select 'pg_class'::regclass`);
      for (const name of AS_OWNER) await client.query(`select public.${name}()`);
      return (await client.query<Row>(`select pg_catalog.current_setting('attack.became') as became`)).rows;
    });
    expect(became).toEqual([{ became: 'began service_role' }]);
  });

  it('has a path of its own in every function that runs as its owner, of whichever schema', async () => {
    const definers = await ask(
      'closed',
      `select f.proname, f.proconfig as config from pg_proc as f
       where f.prosecdef and f.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`,
    );
    expect(definers.map(({ proname }) => proname)).toEqual(AS_OWNER);
    for (const { config } of definers) expect(config).toContain(OWNERS_PATH);
  });

  it('finds nothing of the owner’s that calls a function it could have made', async () => {
    // Indexes, defaults, generated columns, constraints, views and policies: evaluated with the
    // rights of a table's owner when he writes it, vacuums it or refreshes a view.
    const called = await ask(
      'closed',
      `select depends.classid::regclass::text as what, f.oid::regprocedure::text as function
       from pg_depend as depends join pg_proc as f on f.oid = depends.refobjid
       where depends.refclassid = 'pg_proc'::regclass
         and f.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
         and depends.classid <> 'pg_trigger'::regclass`,
    );
    expect(called).toEqual([]);
    const views = await ask(
      'closed',
      `select c.relname from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind = 'v'
       and not coalesce(c.reloptions @> array['security_invoker=true'], false)`,
    );
    expect(views).toEqual([]);
  });

  it.each(['closed', 'older'])('puts no trigger on a table that its owner writes (%s)', async (project) => {
    const granted = await ask(
      project,
      `select c.relname as name, x.privilege_type as privilege
       from pg_class as c cross join lateral aclexplode(c.relacl) as x
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
         and x.grantee = 'service_role'::regrole
         and x.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
         -- RevOS's own: how they are granted is its affair.
         and c.relname not in ('linkedin_accounts', 'posts')
       order by 1, 2`,
    );
    expect(granted).toEqual([]);
  });
});

describe('what the core calls', () => {
  const root = path.resolve(import.meta.dirname, '../../packages/core/src');
  const CALL = /\.call(?:<[^()]*>)?\(\s*'([a-z_]+)'(?:\s*,\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\})?/g;
  const calls = globSync('**/*.ts', { cwd: root }).flatMap((file) =>
    [...readFileSync(path.join(root, file), 'utf8').matchAll(CALL)].map(([, name = '', body = '']) => ({
      name,
      parameters: keysOf(body),
    })),
  );

  it('exists, with these parameters and the clock last', async () => {
    expect(calls.length).toBeGreaterThanOrEqual(15);
    const known = new Map(
      (
        await ask(
          'closed',
          `select proname, proargnames[1:pronargs] as parameters from pg_proc where pronamespace = 'public'::regnamespace`,
        )
      ).map(({ proname, parameters }) => [String(proname), (parameters as string[] | null) ?? []]),
    );
    for (const { name, parameters } of calls) {
      const has = known.get(name);
      expect(has, name).toBeDefined();
      expect(has, name).toEqual(expect.arrayContaining(parameters.map((parameter) => `p_${parameter}`)));
      expect(has?.at(-1), name).toBe('p_now');
    }
  });

  /** The keys of an object literal, `{ a, b: …, c }`, one level deep. */
  function keysOf(body: string): string[] {
    let depth = 0;
    let flat = '';
    for (const character of body) {
      if ('([{'.includes(character)) depth += 1;
      if (depth === 0) flat += character;
      if (')]}'.includes(character)) depth -= 1;
    }
    return flat
      .split(',')
      .map((part) => part.split(':')[0]?.trim() ?? '')
      .filter((key) => key !== '' && !key.startsWith('...'));
  }
});
