-- A legal hold: a member's things are kept as they are and out of everybody's reach. Nothing of theirs is removed, nothing
-- new begins, and their own photos, pictures and words show no more. Why is for the operator alone.

create table legal_holds (
    user_id     text not null references users (id), -- while it holds, the member's row can't go
    id          uuid not null,
    reason      text not null check (char_length(reason) between 10 and 1000),
    placed_by   uuid,
    placed_at   timestamptz not null default now(),
    released_by uuid,
    released_at timestamptz,
    primary key (id),
    unique (user_id, id)
);
create unique index legal_holds_one on legal_holds (user_id) where released_at is null;
alter table legal_holds enable row level security;
alter table legal_holds force row level security;
create policy own_rows on legal_holds to app using (user_id = (select current_member()))
    with check (user_id = (select current_member()));
create policy only_released on legal_holds as restrictive for delete to app using (released_at is not null);
grant select (user_id, released_at), delete on legal_holds to app;
create policy all_holds on legal_holds to registrar using (true) with check (true);
grant select, insert (user_id, id, reason, placed_by), update (released_by, released_at) on legal_holds to registrar;
create policy whose on legal_holds for select to dispatch using (true);
grant select (user_id, released_at) on legal_holds to dispatch;

-- Quarantine: what web shows of a held member is nothing. The worker goes on with what had begun.
do $$
declare
    t text;
begin
    foreach t in array array['selfies', 'uploads', 'ai_images', 'albums', 'album_images', 'generation_trackers'] loop
        execute format(
            'create policy quarantine on %I as restrictive for select to app using ((select
                 coalesce(current_setting(''app.part'', true), '''') = ''worker'' or not exists (
                     select from legal_holds h where h.user_id = current_member() and h.released_at is null)))', t);
    end loop;
    -- what the sweeps remove after its time
    foreach t in array array['uploads', 'ai_images'] loop
        execute format('create policy not_held on %I as restrictive for select to dispatch using (
                            user_id not in (select h.user_id from legal_holds h where h.released_at is null))', t);
    end loop;
end $$;

-- PE002 is told as `account_held`.
create function refuse_the_held() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $$
begin
    if exists (select from public.legal_holds h where h.user_id = new.user_id and h.released_at is null) then
        raise exception 'the member is held' using errcode = 'PE002';
    end if;
    return new;
end $$;
do $$
declare
    t text;
begin
    foreach t in array array['selfies', 'uploads', 'trainings', 'generation_trackers', 'albums'] loop
        execute format('create trigger not_held before insert on %I for each row '
                       'execute function refuse_the_held()', t);
    end loop;
end $$;

-- An erasure that was accepted and waits.
alter table erasure_receipts add column held boolean not null default false;
