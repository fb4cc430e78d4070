-- Insurance: copies of trained weights in our own storage, on rows that no training waits for; and which provider
-- account a member's next training goes to. A version keeps the account that trained it.
create table weights_archives (
    user_id       text not null,
    training_id   uuid not null,
    account_id    text not null references provider_accounts (id),
    status        text not null check (status in ('wanted', 'stored', 'lost')),
    url           text not null,
    tries         int not null default 0,
    next_check_at timestamptz not null,
    leased_until  timestamptz,
    object_key    text unique,
    bytes         bigint,
    sha256        bytea check (octet_length(sha256) = 32),
    reason        text,
    created_at    timestamptz not null,
    primary key (training_id),
    unique (user_id, training_id),
    foreign key (user_id, training_id) references trainings (user_id, id),
    check ((status = 'stored') = (object_key is not null and bytes is not null and sha256 is not null))
);
create index weights_archives_due on weights_archives (next_check_at) where status = 'wanted';

alter table weights_archives enable row level security;
alter table weights_archives force row level security;
create policy own_rows on weights_archives to app using (user_id = (select current_member()))
    with check (user_id = (select current_member()));
grant select, insert, update on weights_archives to app;

create policy all_work on weights_archives for select to dispatch using (true);
create policy lease on weights_archives for update to dispatch using (true) with check (true);
grant select (training_id, user_id, status, next_check_at, leased_until) on weights_archives to dispatch;
grant update (leased_until) on weights_archives to dispatch;

alter table user_models add column next_account_id text references provider_accounts (id);
