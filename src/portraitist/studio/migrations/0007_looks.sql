-- Many runs of one account are looked at through the provider's list: who in the fleet reads it, and what the
-- sweeper's role needs for comparing. Ids, states, counts and times; nothing of what members asked for.
create table looks (
    account_id   text not null references provider_accounts (id),
    kind         text not null check (kind in ('training', 'generation')),
    leased_until timestamptz not null,
    primary key (account_id, kind)
);
grant select, insert, update on looks to dispatch;

grant select (provider_training_id, submitted_at, cancel_requested_at, error_code, revision, step, total_steps, phase),
    update (next_check_at, step, total_steps, phase) on trainings to dispatch;
grant select (provider_prediction_id, submitted_at, cancel_requested_at, error_code, revision),
    update (next_check_at) on generation_trackers to dispatch;
