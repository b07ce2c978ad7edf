/** What a database's catalog says, as text that two moments can be compared by. */
import type { SqlQuery } from '@revos/core/rpc';

const SECTIONS: Readonly<Record<string, string>> = {
  tables: `
    select c.relname as name, c.relkind as kind, c.relrowsecurity as row_security, c.relforcerowsecurity as forced,
      c.relacl::text as acl, c.reloptions::text as options, pg_get_userbyid(c.relowner) as owner
    from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'S', 'v', 'm')`,
  columns: `
    select a.attrelid::regclass::text as name, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod) as type,
      a.attnotnull, a.attidentity, a.attgenerated, a.attacl::text as acl, pg_get_expr(d.adbin, d.adrelid) as expression
    from pg_attribute as a join pg_class as c on c.oid = a.attrelid
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0`,
  constraints: `
    select x.conrelid::regclass::text as name, x.conname, pg_get_constraintdef(x.oid) as definition
    from pg_constraint as x where x.connamespace = 'public'::regnamespace and x.conrelid <> 0`,
  indexes: `
    select tablename as name, indexname, indexdef from pg_indexes where schemaname = 'public'`,
  functions: `
    select f.oid::regprocedure::text as name, pg_get_functiondef(f.oid) as definition, f.proacl::text as acl
    from pg_proc as f where f.pronamespace = 'public'::regnamespace and f.prokind = 'f'`,
  triggers: `
    select t.tgrelid::regclass::text as name, t.tgname, pg_get_triggerdef(t.oid) as definition, t.tgenabled
    from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
    where c.relnamespace = 'public'::regnamespace and not t.tgisinternal`,
  policies: `
    select tablename as name, policyname, permissive, roles::text, cmd, qual, with_check
    from pg_policies where schemaname = 'public'`,
};

export type Catalog = Readonly<Record<string, readonly string[]>>;

/**
 * Every table, column, constraint, index, function, trigger, policy and grant of `public`.
 *
 * @param of only what belongs to these tables (and the functions of these names)
 */
export async function readCatalog(query: SqlQuery, of?: readonly string[]): Promise<Catalog> {
  const catalog: Record<string, string[]> = {};
  for (const [section, text] of Object.entries(SECTIONS)) {
    const rows = await query(text, []);
    catalog[section] = rows
      .filter((row) => of === undefined || of.includes(String(row.name)))
      .map((row) => JSON.stringify(row))
      .sort();
  }
  return catalog;
}
