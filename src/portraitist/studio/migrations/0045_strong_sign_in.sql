-- Strong sign-in: when a session or token was last proved to be the member's, passkeys, recovery codes, and what is begun
-- before it is known who comes.

alter table sessions add column proved_at timestamptz;
-- The owner is subject to row-level security too; for this one statement it must see every row.
alter table sessions no force row level security;
update sessions set proved_at = created_at;
alter table sessions force row level security;
alter table sessions alter column proved_at set not null;
alter table api_tokens add column proved_at timestamptz;
-- whoever proves it anew gets another secret for the same session
grant update (token_hash, proved_at) on sessions to app;
grant update (proved_at) on api_tokens to app;

-- Whether the password alone is not enough.
alter table passwords add column needs_passkey boolean not null default false;

create table passkeys (
    user_id       text not null references users (id),
    id            uuid not null,
    credential_id bytea not null unique check (octet_length(credential_id) between 1 and 1023),
    public_key    bytea not null check (octet_length(public_key) <= 4096),
    sign_count    bigint not null check (sign_count >= 0),
    name          text not null check (length(name) between 1 and 100),
    backed_up     boolean not null,
    created_at    timestamptz not null,
    used_at       timestamptz,
    primary key (id),
    unique (user_id, id)
);
create index passkeys_of_member on passkeys (user_id, created_at);

-- 120 random bits each, so a plain digest is enough; one is good once.
create table recovery_codes (
    user_id    text not null references users (id),
    digest     bytea not null check (octet_length(digest) = 32),
    created_at timestamptz not null,
    used_at    timestamptz,
    primary key (user_id, digest)
);

-- A challenge that was given out: the digest of its kind, of the browser's secret and of itself. Nothing of a member's
-- is in it, and taking it removes it.
create table ceremonies (
    digest     bytea primary key check (octet_length(digest) = 32),
    expires_at timestamptz not null
);
create index ceremonies_old on ceremonies (expires_at);
grant select, insert, delete on ceremonies to app;

do $$
declare
    t text;
begin
    foreach t in array array['passkeys', 'recovery_codes'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I to app using (user_id = (select current_member())) '
                       'with check (user_id = (select current_member()))', t);
        execute format('create trigger no_return before insert on %I for each row '
                       'execute function refuse_the_erased(''account'')', t);
    end loop;
end $$;
grant select, insert, delete, update (sign_count, name, backed_up, used_at) on passkeys to app;
grant select, insert, delete, update (used_at) on recovery_codes to app;

-- The member of a whole credential id, for the one signature that follows.
create policy look_up on passkeys for select to current_user using (true);
create function member_of_passkey(whole_id bytea) returns table (user_id text)
    language sql stable security definer
    set search_path = pg_catalog
as $$
    select p.user_id from public.passkeys p join public.users u on u.id = p.user_id
    where p.credential_id = whole_id and u.disabled_at is null
$$;
revoke all on function member_of_passkey(bytea) from public;
grant execute on function member_of_passkey(bytea) to app;
