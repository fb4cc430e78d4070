-- Erasing: what is under way for a member, and the receipt that outlives them. While an erasure is under way nothing new
-- begins (a trigger refuses it); afterwards the foreign keys to `users` do.

-- `id` is the audit subject: random, and nothing leads from here to a member. The artefacts are kinds and counts.
create table erasure_receipts (
    id          uuid primary key,
    token_hash  bytea not null unique check (octet_length(token_hash) = 32),
    scope       text not null check (scope in ('account', 'consent', 'picture')),
    stage       text not null check (stage in ('stop', 'provider', 'storage', 'database', 'watch', 'done')),
    artefacts   jsonb not null default '[]',
    waits_for   text,
    started_at  timestamptz not null,
    erased_at   timestamptz,
    finished_at timestamptz,
    check ((stage = 'done') = (finished_at is not null))
);
grant select, insert, update on erasure_receipts to app;

-- No foreign key to users: the work goes on when the member's row is gone. The row itself goes with the last step.
create table erasures (
    user_id       text not null,
    id            uuid not null references erasure_receipts (id),
    scope         text not null check (scope in ('account', 'consent', 'picture')),
    stage         text not null check (stage in ('stop', 'provider', 'storage', 'database', 'watch')),
    revision      int not null default 0,
    tries         int not null default 0,
    next_check_at timestamptz not null,
    leased_until  timestamptz,
    plan          jsonb not null,
    created_at    timestamptz not null,
    erased_at     timestamptz,
    primary key (id),
    unique (user_id, id)
);
create unique index erasures_one_of_each on erasures (user_id, scope) where scope in ('account', 'consent');
create index erasures_due on erasures (next_check_at);

alter table erasures enable row level security;
alter table erasures force row level security;
create policy own_rows on erasures to app using (user_id = (select current_member()))
    with check (user_id = (select current_member()));
grant select, insert, update, delete on erasures to app;
create policy all_work on erasures for select to dispatch using (true);
create policy lease on erasures for update to dispatch using (true) with check (true);
grant select (id, user_id, stage, next_check_at, leased_until), update (leased_until) on erasures to dispatch;

-- The tombstone: what a member who is being erased can't begin. PE001 is told to them as `account_erasing`.
create function refuse_the_erased() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $$
begin
    if exists (select from public.erasures e where e.user_id = new.user_id and e.scope = any (tg_argv)) then
        raise exception 'the member is being erased' using errcode = 'PE001';
    end if;
    return new;
end $$;

do $$
declare
    t text;
begin
    foreach t in array array['consents', 'selfies', 'uploads', 'trainings', 'generation_trackers', 'albums'] loop
        execute format('create trigger no_return before insert on %I for each row '
                       'execute function refuse_the_erased(''account'', ''consent'')', t);
    end loop;
    foreach t in array array['sessions', 'api_tokens', 'passwords'] loop
        execute format('create trigger no_return before insert on %I for each row '
                       'execute function refuse_the_erased(''account'')', t);
    end loop;
end $$;

-- A member's rows go in the member's own transaction, under the same policies as everything else.
grant delete on users, passwords, one_time_links, consents, trainings, training_selfies, model_versions, user_models,
    weights_archives, generation_trackers, webhook_deliveries to app;
