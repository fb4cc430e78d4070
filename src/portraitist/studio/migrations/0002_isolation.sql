-- Who may see what: forced row-level security for members' tables, grants by column, and the short list of
-- functions that look members up before one is known. `app` and `dispatch` are made by `portraitist migrate`.

do $$
declare
    t text;
begin
    foreach t in array array['api_tokens', 'consents', 'selfies', 'trainings', 'training_selfies',
                             'model_versions', 'user_models', 'generation_trackers', 'ai_images'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I to app using (user_id = (select current_member())) '
                       'with check (user_id = (select current_member()))', t);
    end loop;
end $$;

alter table users enable row level security;
alter table users force row level security;
create policy own_row on users to app using (id = (select current_member()))
    with check (id = (select current_member()));

grant usage on schema public to app, dispatch;
grant select, update on users to app;
grant select, insert, delete on api_tokens to app;
grant select, insert, update on consents to app;
grant select, insert, delete on selfies to app;
grant select, insert, update on trainings to app;
grant select, insert on training_selfies to app;
grant select, insert, update on model_versions to app;
grant select, insert, update on user_models to app;
grant select, insert, update on generation_trackers to app;
grant select, insert, update on ai_images to app;
grant select, insert, update (base_url) on provider_accounts to app;

-- dispatch: the sweeper's eyes. Ids, states and times of work in hand; may lease them to a job, nothing else.
create policy all_work on trainings for select to dispatch using (true);
create policy lease on trainings for update to dispatch using (true) with check (true);
create policy all_work on generation_trackers for select to dispatch using (true);
create policy lease on generation_trackers for update to dispatch using (true) with check (true);
grant select (id, user_id, status, next_check_at, leased_until, attempt, submit_token, created_at) on trainings to dispatch;
grant update (leased_until) on trainings to dispatch;
grant select (id, user_id, status, next_check_at, leased_until, attempt, created_at) on generation_trackers to dispatch;
grant update (leased_until) on generation_trackers to dispatch;

-- The look-ups that come before a member is known. A catalog test fails on any SECURITY DEFINER function
-- that is not one of these. They run as the owner, who is subject to forced row-level security too, so each
-- gets its policy.
create policy look_up on api_tokens for select to current_user using (true);
create policy look_up on users for select to current_user using (true);
create policy enrol on users for insert to current_user with check (true);

create function member_of_token(hash bytea) returns text
    language sql stable security definer
    set search_path = pg_catalog
as $$ select user_id from public.api_tokens where token_hash = hash $$;

-- Makes the local member of this handle, or finds it; returns its id.
create function enrol_local_member(new_id text, new_handle text, new_subject_word text, at timestamptz) returns text
    language plpgsql security definer
    set search_path = pg_catalog
as $$
declare
    found_id text;
begin
    insert into public.users (id, handle, subject_word, created_at)
    values (new_id, new_handle, new_subject_word, at)
    on conflict (handle) do nothing;
    select id into strict found_id from public.users where handle = new_handle;
    return found_id;
end $$;

revoke all on function member_of_token(bytea) from public;
revoke all on function enrol_local_member(text, text, text, timestamptz) from public;
grant execute on function member_of_token(bytea) to app;
grant execute on function enrol_local_member(text, text, text, timestamptz) to app;
