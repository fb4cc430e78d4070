-- Webhooks that were verified: stored once, so that the same message wakes once. Bodies are not kept: they are
-- hints, and what counts is read from the provider.
create table webhook_deliveries (
    user_id     text not null references users (id),
    id          uuid not null,
    account_id  text not null references provider_accounts (id),
    webhook_id  text not null check (length(webhook_id) <= 200),
    kind        text not null check (kind in ('training', 'verification', 'generation')),
    subject_id  uuid not null,
    provider_id text not null,
    outcome     text not null check (outcome in ('woke', 'quarantined')),
    received_at timestamptz not null,
    primary key (id),
    unique (user_id, id),
    unique (account_id, webhook_id)
);
create index webhook_deliveries_old on webhook_deliveries (received_at);

alter table webhook_deliveries enable row level security;
alter table webhook_deliveries force row level security;
create policy own_rows on webhook_deliveries to app using (user_id = (select current_member()))
    with check (user_id = (select current_member()));
grant select, insert on webhook_deliveries to app;

-- dispatch clears them away when no replay of them could pass any more.
create policy any_age on webhook_deliveries for select to dispatch using (true);
create policy old_ones on webhook_deliveries for delete to dispatch using (true);
grant select (received_at), delete on webhook_deliveries to dispatch;

-- Which run a webhook's token stands for, before its member is known. The token is random, per row, and in the
-- address that only the provider was given.
create policy look_up on trainings for select to current_user using (true);
create policy look_up on generation_trackers for select to current_user using (true);

create function work_of_webhook(wanted_kind text, token text)
    returns table (user_id text, id uuid, account_id text, provider_id text)
    language sql stable security definer
    set search_path = pg_catalog
as $$
    select t.user_id, t.id, t.account_id,
           case wanted_kind when 'training' then t.provider_training_id else t.verify_prediction_id end
    from public.trainings t where wanted_kind in ('training', 'verification') and t.webhook_token = token
    union all
    select g.user_id, g.id, g.account_id, g.provider_prediction_id
    from public.generation_trackers g where wanted_kind = 'generation' and g.webhook_token = token
$$;
revoke all on function work_of_webhook(text, text) from public;
grant execute on function work_of_webhook(text, text) to app;
