-- A photo whose faces could not be counted yet: it is kept, and waits; no training takes it.
alter table selfies drop constraint selfies_status_check;
alter table selfies add constraint selfies_status_check check (status in ('accepted', 'waiting', 'rejected'));
do $$
declare
    old text;
begin
    select conname into strict old from pg_constraint
    where conrelid = 'selfies'::regclass and contype = 'c' and pg_get_constraintdef(oid) like '%dhash%';
    execute format('alter table selfies drop constraint %I', old);
end $$;
alter table selfies add constraint selfies_kept check (
    (status in ('accepted', 'waiting')) = (object_key is not null and sha256 is not null and dhash is not null));

-- The one thing that changes of a photo: what it waited for has come. Other photos stay as they were judged.
grant update (status, reason_code, reason, object_key, sha256, dhash) on selfies to app;
create policy only_waiting on selfies as restrictive for update to app using (status = 'waiting')
    with check (status <> 'waiting');

-- The worker finds whose photos wait: whose and which, nothing of the photo.
create index selfies_waiting on selfies (user_id) where status = 'waiting';
create policy waiting on selfies for select to dispatch using (
    status = 'waiting' and user_id not in (select h.user_id from legal_holds h where h.released_at is null));
grant select (id, user_id, status, created_at) on selfies to dispatch;
