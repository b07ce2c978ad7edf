-- RevOS's own tables, as they are in RevOS, for a database that does not have them yet.
--
-- A table that exists is left exactly as it is: no column, grant, policy or trigger of it changes; so is its function.

do $$
begin
  if to_regclass('public.linkedin_accounts') is null then
    create table public.linkedin_accounts (
      id uuid primary key default gen_random_uuid(),
      user_id uuid,
      account_name text not null,
      unipile_account_id text unique,
      status text default 'active' check (status in ('active', 'expired', 'error')),
      last_sync_at timestamptz,
      rate_limit_reset_at timestamptz,
      daily_dm_count integer default 0,
      daily_post_count integer default 0,
      created_at timestamptz default now(),
      updated_at timestamptz default now(),
      unique (user_id, account_name)
    );
    -- RevOS's own: every write shows in updated_at.
    if to_regprocedure('public.update_updated_at_column()') is null then
      create function public.update_updated_at_column()
      returns trigger
      language plpgsql
      security invoker
      set search_path = ''
      as $trigger$
      begin
        new.updated_at = now();
        return new;
      end;
      $trigger$;
      revoke execute on function public.update_updated_at_column() from public, anon, authenticated;
      grant execute on function public.update_updated_at_column() to service_role;
    end if;
    create trigger update_linkedin_accounts_updated_at before update on public.linkedin_accounts
      for each row execute function public.update_updated_at_column();
    alter table public.linkedin_accounts enable row level security;
    revoke all on public.linkedin_accounts from anon, authenticated;
    grant select, insert, update, delete on public.linkedin_accounts to service_role;
  end if;

  if to_regclass('public.posts') is null then
    create table public.posts (
      id uuid primary key default gen_random_uuid(),
      campaign_id uuid,
      linkedin_account_id uuid references public.linkedin_accounts (id),
      unipile_post_id text unique,
      post_url text,
      content text not null,
      trigger_word text,
      status text default 'draft' check (status in ('draft', 'scheduled', 'published', 'failed')),
      scheduled_for timestamptz,
      published_at timestamptz,
      metrics jsonb default '{}'::jsonb,
      last_polled_at timestamptz,
      created_at timestamptz default now(),
      updated_at timestamptz default now()
    );
    alter table public.posts enable row level security;
    revoke all on public.posts from anon, authenticated;
    grant select, insert, update, delete on public.posts to service_role;
  end if;
end;
$$;
