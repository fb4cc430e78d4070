-- Accounts by e-mail and password: sessions, scoped tokens, one-time links, the delays against guessing, and the
-- settings that an admin may change. Of every secret only a hash is here. The role `registrar` (made by
-- `portraitist migrate`) is what the admin's endpoints assume: addresses, roles and states of accounts, never
-- anything that a member made.

alter table users
    add column email       text unique check (length(email) <= 254 and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
    add column role        text not null default 'member' check (role in ('member', 'admin')),
    add column disabled_at timestamptz;
-- A member changes the word for prompts; what they may do is not theirs to change.
revoke update on users from app;
grant update (subject_word) on users to app;

create table passwords (
    user_id    text primary key references users (id),
    hash       text not null check (hash like '$argon2id$%'),
    changed_at timestamptz not null
);

create table sessions (
    user_id    text not null references users (id),
    id         uuid not null,
    token_hash bytea not null unique check (octet_length(token_hash) = 32),
    label      text not null check (length(label) <= 200),
    created_at timestamptz not null,
    seen_at    timestamptz not null,
    expires_at timestamptz not null,
    primary key (id),
    unique (user_id, id)
);
create index sessions_of_member on sessions (user_id, created_at desc);
create index sessions_old on sessions (expires_at);

alter table api_tokens
    add column scopes     text[] not null default '{full}' check (cardinality(scopes) > 0),
    add column expires_at timestamptz,
    add column used_at    timestamptz;
create index api_tokens_of_member on api_tokens (user_id, created_at desc);

-- Handed out by the admin (or, the first, by the host): each opens one thing, once.
create table one_time_links (
    id         uuid primary key,
    kind       text not null check (kind in ('first', 'invitation', 'reset')),
    token_hash bytea not null unique check (octet_length(token_hash) = 32),
    user_id    text references users (id),
    email      text,
    role       text not null default 'member' check (role in ('member', 'admin')),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz,
    check ((kind = 'reset') = (user_id is not null))
);

-- Failed tries by account and by source. The keys are keyed hashes: no address can be read from them.
create table sign_in_attempts (
    key           text primary key check (length(key) <= 100),
    failures      int not null check (failures >= 0),
    tried_at      timestamptz not null,
    blocked_until timestamptz not null
);
create index sign_in_attempts_old on sign_in_attempts (tried_at);
grant select, insert, update, delete on sign_in_attempts to app;

-- What an admin may change while the studio runs; the environment overrides it (settings/domain.py).
create table settings (
    key        text primary key check (length(key) <= 100),
    value      jsonb not null,
    changed_at timestamptz not null
);
grant select on settings to app;
grant usage on schema public to registrar;
grant select, insert, update, delete on settings to registrar;

do $$
declare
    t text;
begin
    foreach t in array array['passwords', 'sessions', 'one_time_links'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I to app using (user_id = (select current_member())) '
                       'with check (user_id = (select current_member()))', t);
    end loop;
end $$;
grant select, insert, update on passwords to app;
grant select on one_time_links to app;
grant select, insert, delete, update (seen_at) on sessions to app;
grant update (used_at) on api_tokens to app;

-- registrar: who there is, not what they have.
create policy all_accounts on users for select to registrar using (true);
create policy change_account on users for update to registrar using (true) with check (true);
grant select (id, email, role, created_at, disabled_at), update (role, disabled_at) on users to registrar;
create policy all_links on one_time_links to registrar using (true) with check (true);
grant select (id, kind, user_id, email, role, created_at, expires_at, used_at), insert, delete
    on one_time_links to registrar;
create policy end_sessions on sessions for delete to registrar using (true);
create policy end_sessions_of on sessions for select to registrar using (true);
grant select (user_id), delete on sessions to registrar;
create policy end_tokens on api_tokens for delete to registrar using (true);
create policy end_tokens_of on api_tokens for select to registrar using (true);
grant select (user_id), delete on api_tokens to registrar;

-- The look-ups before a member is known. Each answers to a whole secret or a whole address, never to a part.
create policy look_up on sessions for select to current_user using (true);
create policy look_up on passwords for select to current_user using (true);
create policy look_up on one_time_links to current_user using (true) with check (true);

drop function member_of_token(bytea);
create function member_of_token(hash bytea, at timestamptz)
    returns table (user_id text, id uuid, role text, scopes text[], seen_at timestamptz)
    language sql stable security definer
    set search_path = pg_catalog
as $$
    select t.user_id, t.id, u.role, t.scopes, t.used_at
    from public.api_tokens t join public.users u on u.id = t.user_id
    where t.token_hash = hash and u.disabled_at is null and (t.expires_at is null or t.expires_at > at)
$$;

create function member_of_session(hash bytea, at timestamptz, idle interval)
    returns table (user_id text, id uuid, role text, seen_at timestamptz)
    language sql stable security definer
    set search_path = pg_catalog
as $$
    select s.user_id, s.id, u.role, s.seen_at
    from public.sessions s join public.users u on u.id = s.user_id
    where s.token_hash = hash and u.disabled_at is null and s.expires_at > at and s.seen_at > at - idle
$$;

-- The account of a whole address, for the one comparison that follows.
create function account_of_email(address text) returns table (user_id text, hash text)
    language sql stable security definer
    set search_path = pg_catalog
as $$
    select u.id, p.hash from public.users u join public.passwords p on p.user_id = u.id
    where u.email = address and u.disabled_at is null
$$;

-- A new account; false where the address has one already.
create function enrol_account(new_id text, address text, new_role text, new_subject_word text, at timestamptz)
    returns boolean
    language plpgsql security definer
    set search_path = pg_catalog
as $$
begin
    insert into public.users (id, handle, email, role, subject_word, created_at)
    values (new_id, 'account:' || new_id, address, new_role, new_subject_word, at)
    on conflict (email) do nothing;
    return found;
end $$;

-- Spends a link: it answers once, to its whole secret. The first account's link is worth nothing beside an admin.
create function spend_link(hash bytea, at timestamptz, wanted text[])
    returns table (kind text, user_id text, email text, role text)
    language sql security definer
    set search_path = pg_catalog
as $$
    update public.one_time_links l set used_at = at
    where l.token_hash = hash and l.used_at is null and l.expires_at > at and l.kind = any (wanted)
        and not (l.kind = 'first' and exists (select from public.users u where u.role = 'admin'))
    returning l.kind, l.user_id, l.email, l.role
$$;

-- A local member's handle never opens an account that has a password.
create or replace function enrol_local_member(new_id text, new_handle text, new_subject_word text, at timestamptz)
    returns text
    language plpgsql security definer
    set search_path = pg_catalog
as $$
declare
    found_id text;
begin
    insert into public.users (id, handle, subject_word, created_at)
    values (new_id, new_handle, new_subject_word, at)
    on conflict (handle) do nothing;
    select id into strict found_id from public.users where handle = new_handle and email is null;
    return found_id;
end $$;

do $$
declare
    f text;
begin
    foreach f in array array['member_of_token(bytea, timestamptz)',
                             'member_of_session(bytea, timestamptz, interval)', 'account_of_email(text)',
                             'enrol_account(text, text, text, text, timestamptz)',
                             'spend_link(bytea, timestamptz, text[])'] loop
        execute format('revoke all on function %s from public', f);
        execute format('grant execute on function %s to app', f);
    end loop;
end $$;
