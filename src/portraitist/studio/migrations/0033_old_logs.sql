-- What the provider's log and answer said of a training is of use for a while; then it goes. Null until then.
alter table trainings add column logs_cleared_at timestamptz;
create index trainings_logs_to_clear on trainings (finished_at) where logs_cleared_at is null and finished_at is not null;
grant select (logs_cleared_at) on trainings to dispatch;
