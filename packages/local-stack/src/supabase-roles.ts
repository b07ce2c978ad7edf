/**
 * The API roles, as hosted Supabase has had them since 2026-10-30.
 *
 * Promises: it can be run any number of times, and it gives no default privileges: a new table or
 * sequence in `public` is closed to `anon`, `authenticated` and `service_role` until it is granted. A new
 * function is not: Postgres itself lets `public` execute it until that is revoked.
 */

/** Roles exist once per server, so two databases of one server may run this at the same moment. */
export const supabaseRolesSql = `
do $roles$
begin
  perform pg_advisory_xact_lock(hashtext('supabase roles'));
  if not exists (select from pg_catalog.pg_roles where rolname = 'anon') then
    create role anon nologin noinherit;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'authenticated') then
    create role authenticated nologin noinherit;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
    create role service_role nologin noinherit bypassrls;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'authenticator') then
    create role authenticator login noinherit;
  end if;
  if not pg_has_role('authenticator', 'anon', 'member')
    or not pg_has_role('authenticator', 'authenticated', 'member')
    or not pg_has_role('authenticator', 'service_role', 'member') then
    grant anon, authenticated, service_role to authenticator;
  end if;
end;
$roles$;

grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public revoke all on functions from anon, authenticated, service_role;
`;

/**
 * What projects made before 2026-10-30 have instead: new objects of `public` are open to everybody.
 * For an empty database that has the roles; the roles' SQL takes it away again.
 */
export const olderDefaultGrantsSql = `
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
`;
