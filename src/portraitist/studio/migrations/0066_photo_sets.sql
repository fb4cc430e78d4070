-- The AI Photoshoot: a set of looks that become generations a few at a time. The rows say how far it is: whatever a killed
-- worker had not entered is still to do, and what is entered is not done twice.
create table photo_sets (
    user_id         text not null references users (id),
    id              uuid not null,
    collection      text not null,
    look            text,
    title           text not null check (char_length(title) between 1 and 80),
    colours         text[] not null default '{}',
    status          text not null check (status in ('running', 'paused', 'done', 'canceled')),
    why_paused      text check (why_paused in ('quota', 'wish', 'model', 'studio')),
    resumes_at      timestamptz,
    revision        int not null default 0,
    leased_until    timestamptz,
    idempotency_key text,
    created_at      timestamptz not null,
    finished_at     timestamptz,
    primary key (id),
    unique (user_id, id),
    unique (user_id, idempotency_key),
    check ((status = 'paused') = (why_paused is not null)),
    check (resumes_at is null or status = 'paused'),
    check ((status in ('done', 'canceled')) = (finished_at is not null))
);
create index photo_sets_newest on photo_sets (user_id, created_at desc, id desc);
create index photo_sets_moving on photo_sets (leased_until) where status in ('running', 'paused');

-- One shot of one look. `prompt` is kept as it was when the set began: a file that changes later changes no set.
create table photo_set_items (
    user_id       text not null,
    set_id        uuid not null,
    position      int not null check (position >= 0),
    look          text not null,
    title         text not null check (char_length(title) between 1 and 80),
    shot          text not null check (shot in ('close_up', 'half_body', 'full_scene')),
    prompt        text not null,
    status        text not null check (status in ('waiting', 'asked', 'refused', 'canceled')),
    attempt       int not null default 0,
    generation_id uuid,
    error_code    text,
    error         text,
    next_step     text,
    primary key (set_id, position),
    foreign key (user_id, set_id) references photo_sets (user_id, id) on delete cascade,
    foreign key (user_id, generation_id) references generation_trackers (user_id, id),
    check (status <> 'asked' or generation_id is not null),
    check ((status = 'refused') = (error_code is not null))
);
create index photo_set_items_of_generation on photo_set_items (user_id, generation_id);

do $$
declare
    t text;
begin
    foreach t in array array['photo_sets', 'photo_set_items'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I to app using (user_id = (select current_member())) '
                       'with check (user_id = (select current_member()))', t);
        -- what is held shows no more, and the worker goes on with what had begun (0036)
        execute format(
            'create policy quarantine on %I as restrictive for select to app using ((select
                 coalesce(current_setting(''app.part'', true), '''') = ''worker'' or not exists (
                     select from legal_holds h where h.user_id = current_member() and h.released_at is null)))', t);
        execute format('create policy all_work on %I for select to dispatch using (true)', t);
    end loop;
end $$;
create trigger no_return before insert on photo_sets for each row
    execute function refuse_the_erased('account', 'consent');
create trigger not_held before insert on photo_sets for each row execute function refuse_the_held();
grant select, insert, update, delete on photo_sets, photo_set_items to app;

-- The sweeper finds sets that may go on: ids, states and times, and nothing of what is shot.
create policy lease on photo_sets for update to dispatch using (true) with check (true);
grant select (id, user_id, status, resumes_at, leased_until), update (leased_until) on photo_sets to dispatch;
grant select (set_id, status, generation_id) on photo_set_items to dispatch;
