-- Pictures that were never saved may go after a time, if the operator says so. It is announced as with photos: entered here,
-- and nothing goes sooner than three days after that. `made_until`: the announcement is about pictures up to then.
create table preview_timers (
    user_id      text primary key references users (id),
    made_until   timestamptz not null,
    announced_at timestamptz not null,
    strikes_at   timestamptz not null,
    check (strikes_at >= announced_at + interval '3 days')
);
alter table preview_timers enable row level security;
alter table preview_timers force row level security;
create policy own_rows on preview_timers to app using (user_id = (select current_member()))
    with check (user_id = (select current_member()));
grant select, insert, update, delete on preview_timers to app;

-- The sweeper finds whose previews are old enough, and whose announced time is over: who and when.
create policy any_time on preview_timers for select to dispatch using (true);
grant select (user_id, strikes_at) on preview_timers to dispatch;
create policy previews on ai_images for select to dispatch using (not saved and not favourite and deleted_at is null);
grant select (created_at) on ai_images to dispatch;
create index ai_images_previews on ai_images (created_at) where not saved and not favourite and deleted_at is null;
