-- Photos go some time after the training that they were given for. When that is near, it is entered here, which is how
-- the member is told; nothing is deleted sooner than three days after that, and nothing of whoever said "keep them".
create table photo_timers (
    user_id      text primary key references users (id),
    keeps        boolean not null default false,
    -- the end of the training that the announcement is about, and of the last one whose photos are gone
    trained_at   timestamptz,
    announced_at timestamptz,
    strikes_at   timestamptz,
    done_for     timestamptz,
    check ((announced_at is null) = (strikes_at is null)),
    check (strikes_at >= announced_at + interval '3 days')
);
alter table photo_timers enable row level security;
alter table photo_timers force row level security;
create policy own_rows on photo_timers to app using (user_id = (select current_member()))
    with check (user_id = (select current_member()));
grant select, insert, update, delete on photo_timers to app;

-- The sweeper finds whose time has come: who and when.
create policy any_time on photo_timers for select to dispatch using (true);
grant select (user_id, keeps, done_for) on photo_timers to dispatch;
create index trainings_completed on trainings (finished_at) where status = 'completed';
