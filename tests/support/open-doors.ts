/**
 * Every way in for the browser's roles, as the catalog knows it: whatever `anon` or `authenticated`
 * may read, write or execute, by a grant of their own, of PUBLIC, or of a role that they can
 * become.
 *
 * Nothing is listed by name, so that what a later migration makes is looked at by itself, in
 * whichever schema.
 */
import type { SqlQuery } from '@revos/core/rpc';

const DOORS = `
  with visitor as (
    select unnest(array['anon', 'authenticated']) as role
  ), ours as (
    select n.oid, n.nspname from pg_namespace as n
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  ), relation as (
    select c.oid, c.relkind, ours.oid as schema,
      case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end as kind
    from pg_class as c join ours on ours.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  ), door (role, schema, what) as (
    select role, schema, format('%s %s: %s', kind, relation.oid::regclass, privilege)
    from visitor cross join relation
    cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']
      || case when current_setting('server_version_num')::int >= 170000 then array['maintain'] end) as privilege
    where relkind <> 'S' and has_table_privilege(role, relation.oid, privilege)
    union all
    select role, schema, format('column %s.%I: %s', relation.oid::regclass, a.attname, privilege)
    from visitor cross join relation
    join pg_attribute as a on a.attrelid = relation.oid and a.attnum > 0 and not a.attisdropped
    cross join unnest(array['select', 'insert', 'update', 'references']) as privilege
    where relkind <> 'S' and has_column_privilege(role, relation.oid, a.attnum, privilege)
      and not has_table_privilege(role, relation.oid, privilege)
    union all
    select role, schema, format('sequence %s: %s', relation.oid::regclass, privilege)
    from visitor cross join relation cross join unnest(array['usage', 'select', 'update']) as privilege
    where relkind = 'S' and has_sequence_privilege(role, relation.oid, privilege)
    union all
    -- Trigger functions, procedures and aggregates too.
    select role, f.pronamespace, format('function %s: execute', f.oid::regprocedure)
    from visitor cross join pg_proc as f join ours on ours.oid = f.pronamespace
    where has_function_privilege(role, f.oid, 'execute')
    union all
    -- Not the row types of tables, which are as open as their tables.
    select role, t.typnamespace, format('type %s: usage', t.oid::regtype)
    from visitor cross join pg_type as t join ours on ours.oid = t.typnamespace
    left join pg_class as c on c.oid = t.typrelid
    where t.typelem = 0 and (c.oid is null or c.relkind = 'c') and has_type_privilege(role, t.oid, 'usage')
  )
  select format('%s: %s', role, what) as door from door where has_schema_privilege(role, schema, 'usage')
  union all
  select format('%s: schema %I: create', role, nspname) from visitor cross join ours
  where has_schema_privilege(role, ours.oid, 'create')
  union all
  select format('%s: role %I: member', role, r.rolname) from visitor cross join pg_roles as r
  where r.rolname <> role and pg_has_role(role, r.oid, 'member')
  order by 1`;

/** One line a door, such as `anon: table dm_queue: select`; none if nobody gets in. */
export async function findOpenDoors(query: SqlQuery): Promise<string[]> {
  return (await query(DOORS, [])).map(({ door }) => String(door));
}
