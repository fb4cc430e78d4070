-- Notices: what a member is told without having asked. A row per event, entered in the transaction that made it happen; a
-- push is a row per browser that waits to be sent.

create table notices (
    user_id    text not null references users (id),
    id         uuid not null,
    kind       text not null check (kind in ('model_ready', 'training_failed', 'training_parked', 'photos_announced',
                                             'previews_announced')),
    event      text not null check (char_length(event) <= 100), -- what happened: of each, a member is told once
    detail     jsonb not null default '{}',
    created_at timestamptz not null,
    read_at    timestamptz,
    primary key (id),
    unique (user_id, id),
    unique (user_id, kind, event)
);
create index notices_newest on notices (user_id, created_at desc, id desc);
create index notices_unread on notices (user_id) where read_at is null;

create table notice_ways (
    user_id  text primary key references users (id),
    mail     boolean not null default true,
    push     boolean not null default true,
    language text not null default 'en' check (char_length(language) <= 20)
);

-- One browser, by the session that it is signed in with: it ends with the session.
create table push_subscriptions (
    user_id    text not null,
    id         uuid not null,
    session_id uuid not null,
    endpoint   text not null check (char_length(endpoint) <= 2000),
    p256dh     bytea not null check (octet_length(p256dh) = 65),
    auth       bytea not null check (octet_length(auth) = 16),
    created_at timestamptz not null,
    primary key (id),
    unique (user_id, id),
    unique (session_id),
    foreign key (user_id, session_id) references sessions (user_id, id) on delete cascade
);
create index push_subscriptions_of_member on push_subscriptions (user_id);

create table pushes (
    user_id         text not null,
    id              uuid not null,
    notice_id       uuid not null,
    subscription_id uuid not null,
    created_at      timestamptz not null,
    next_check_at   timestamptz not null,
    leased_until    timestamptz,
    tries           int not null default 0,
    primary key (id),
    unique (user_id, id),
    unique (notice_id, subscription_id),
    foreign key (user_id, notice_id) references notices (user_id, id) on delete cascade,
    foreign key (user_id, subscription_id) references push_subscriptions (user_id, id) on delete cascade
);
create index pushes_due on pushes (next_check_at);
create index pushes_of_subscription on pushes (user_id, subscription_id);

do $$
declare
    t text;
begin
    foreach t in array array['notices', 'notice_ways', 'push_subscriptions', 'pushes'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I to app using (user_id = (select current_member())) '
                       'with check (user_id = (select current_member()))', t);
    end loop;
end $$;
grant select, insert, update (read_at), delete on notices to app;
grant select, insert, update, delete on notice_ways, push_subscriptions to app;
grant select, insert, update (next_check_at, leased_until, tries), delete on pushes to app;
create policy all_work on pushes for select to dispatch using (true);
create policy lease on pushes for update to dispatch using (true) with check (true);
grant select (id, user_id, next_check_at, leased_until), update (leased_until) on pushes to dispatch;

-- A notice may go by mail too, in words that are ready.
alter table mails
    drop constraint mails_kind_check,
    add constraint mails_kind_check check (kind in ('sign_in', 'mailed_reset', 'proof', 'signed_in', 'password_changed',
                                                    'credential_changed', 'photos_announced', 'notice'));
