-- What the provider's machines worked for a member, as the provider measured it, and when work ended: what an admin sees
-- of usage and of work that is stuck. `dispatch` reads numbers and times; nothing of what was asked for or made.
alter table trainings
    add column provider_seconds double precision generated always as (
        case when jsonb_typeof(effective -> 'predict_time') = 'number'
            then least(greatest((effective -> 'predict_time')::numeric, 0), 1e9)::double precision end) stored;
alter table generation_trackers
    add column provider_seconds double precision check (provider_seconds between 0 and 1e9);
grant select (provider_seconds) on trainings to dispatch;
grant select (provider_seconds, finished_at) on generation_trackers to dispatch;
