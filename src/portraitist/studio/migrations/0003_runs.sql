-- What keeps a run from being stuck or paid twice: admission, tokens of earlier attempts, twins that were
-- cancelled, when it succeeded; and how long trainings take here, without saying whose.

alter table trainings
    add column admitted_at   timestamptz,
    add column webhook_token text unique,
    add column past_tokens   text[] not null default '{}',
    add column twins         jsonb not null default '[]',
    add column succeeded_at  timestamptz;
alter table generation_trackers
    add column admitted_at   timestamptz,
    add column webhook_token text unique,
    add column twins         jsonb not null default '[]';

-- Waiting rows, by member in the order they came: admission looks at the first few of each.
create index trainings_waiting on trainings (account_id, user_id, created_at)
    where status = 'queued' and admitted_at is null;
create index generation_trackers_waiting on generation_trackers (account_id, user_id, created_at)
    where status = 'queued' and admitted_at is null;
create index trainings_running on trainings (account_id, user_id)
    where status in ('queued', 'submitting', 'submitted', 'training');
create index generation_trackers_running on generation_trackers (account_id, user_id)
    where status in ('queued', 'submitting', 'submitted', 'running');

-- dispatch admits: it sees whose turn it is and marks the row.
grant select (account_id, admitted_at), update (admitted_at) on trainings to dispatch;
grant select (account_id, admitted_at), update (admitted_at) on generation_trackers to dispatch;

-- Durations of trainings that were promoted, in seconds: how long one waited, ran, and was checked. No member, no
-- training and no time of day, so reading it tells nothing about anybody.
create table training_durations (
    id         bigint generated always as identity primary key,
    account_id text not null references provider_accounts (id),
    day        date not null,
    waited_s   real not null check (waited_s >= 0),
    ran_s      real not null check (ran_s >= 0),
    checked_s  real not null check (checked_s >= 0)
);
grant select, insert on training_durations to app;
