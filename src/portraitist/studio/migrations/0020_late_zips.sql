-- A zip of photos that a slow or dying worker stored after its training no longer needed any: looked for once, some
-- time after the run ended. Null until then.
alter table trainings add column photos_cleared_at timestamptz;
create index trainings_photos_to_clear on trainings (coalesce(succeeded_at, finished_at))
    where photos_cleared_at is null and coalesce(succeeded_at, finished_at) is not null;
grant select (succeeded_at, finished_at, photos_cleared_at) on trainings to dispatch;
