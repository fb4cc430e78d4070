-- Break-glass: an admin's look at one member's photos and pictures, with a reason, for fifteen minutes, reading only. The
-- role `breakglass` sees a row only through a glass that is open and that admin's; the times are the database's. What was
-- looked at stands here for the member to read; nobody but their own erasure removes it.

create table break_glass (
    user_id   text not null references users (id),
    id        uuid not null,
    admin     uuid not null, -- audit subject
    subject   uuid not null, -- the member's
    reason    text not null check (char_length(reason) between 10 and 1000),
    opened_at timestamptz not null default now(),
    ends_at   timestamptz not null default now() + interval '15 minutes',
    ended_at  timestamptz,
    primary key (id),
    unique (user_id, id),
    check (ends_at <= opened_at + interval '15 minutes')
);
create index break_glass_newest on break_glass (opened_at desc, id desc);

create table break_glass_views (
    user_id  text not null,
    glass_id uuid not null,
    id       uuid not null default gen_random_uuid(),
    kind     text not null check (kind in ('list', 'photo', 'picture')),
    thing_id uuid,
    at       timestamptz not null default clock_timestamp(),
    primary key (id),
    foreign key (user_id, glass_id) references break_glass (user_id, id),
    check ((kind = 'list') = (thing_id is null))
);
create index break_glass_views_of on break_glass_views (user_id, glass_id, at);

do $$
declare
    t text;
begin
    foreach t in array array['break_glass', 'break_glass_views'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I to app using (user_id = (select current_member())) '
                       'with check (user_id = (select current_member()))', t);
    end loop;
end $$;
grant select, delete on break_glass, break_glass_views to app;
create policy all_glasses on break_glass to registrar using (true) with check (true);
grant select, insert (user_id, id, admin, subject, reason), update (ended_at) on break_glass to registrar;

grant usage on schema public to breakglass;
create policy own_glass on break_glass for select to breakglass using (
    id = nullif(current_setting('app.glass', true), '')::uuid
    and admin = nullif(current_setting('app.admin', true), '')::uuid
    and ended_at is null and ends_at > clock_timestamp());
grant select (user_id, id, admin, subject, ended_at, ends_at) on break_glass to breakglass;
create policy through_glass on ai_images for select to breakglass
    using (user_id = (select g.user_id from break_glass g));
grant select (user_id, id, object_key, width, height, created_at, deleted_at) on ai_images to breakglass;
create policy through_glass on selfies for select to breakglass
    using (user_id = (select g.user_id from break_glass g));
grant select (user_id, id, object_key, width, height, created_at) on selfies to breakglass;
create policy told on break_glass_views for insert to breakglass
    with check ((user_id, glass_id) = (select g.user_id, g.id from break_glass g));
grant insert (user_id, glass_id, kind, thing_id) on break_glass_views to breakglass;
create policy append_through_glass on audit_events for insert to breakglass
    with check ((actor_id, subject) = (select g.admin, g.subject from break_glass g));
grant insert (action, actor, actor_id, subject, detail) on audit_events to breakglass;
