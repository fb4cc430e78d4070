-- What the checker must have seen on the way, not only at the end: written by triggers, in tests only.
create table proof_moves (at timestamptz not null, user_id text not null, paid_for int);
create table proof_cleared (user_id text not null);
create table proof_deleted (object_key text not null);

create function proof_training_moved() returns trigger language plpgsql security definer as $$
begin
    insert into public.proof_moves
    select clock_timestamp(), new.user_id, count(*) from public.trainings
    where user_id = new.user_id and status in ('queued', 'submitting', 'submitted', 'training');
    return null;
end $$;
create function proof_generation_moved() returns trigger language plpgsql security definer as $$
begin
    insert into public.proof_moves values (clock_timestamp(), new.user_id, null);
    return null;
end $$;
create function proof_model_moved() returns trigger language plpgsql security definer as $$
begin
    if tg_op = 'DELETE' or new.active_version_id is null then
        insert into public.proof_cleared values (old.user_id);
    end if;
    return null;
end $$;
create function proof_picture_deleted() returns trigger language plpgsql security definer as $$
begin
    insert into public.proof_deleted values (new.object_key);
    return null;
end $$;

create trigger proof after update of deleted_at on ai_images
    for each row when (new.deleted_at is not null) execute function proof_picture_deleted();
create trigger proof after insert or update on trainings
    for each row execute function proof_training_moved();
create trigger proof after insert or update on generation_trackers
    for each row execute function proof_generation_moved();
create trigger proof after update or delete on user_models
    for each row execute function proof_model_moved();
