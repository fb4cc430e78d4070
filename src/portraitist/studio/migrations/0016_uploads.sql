-- Photos on their way in pieces: how far each has come. The bytes lie in the storage under keys of ours; both go when
-- the photo is whole, when the member gives it up, or when its time is over.
create table uploads (
    user_id    text not null references users (id),
    id         uuid not null,
    consent_id uuid not null,
    file_name  text not null check (length(file_name) between 1 and 200),
    length     int not null check (length between 1 and 30000000),
    received   int not null default 0 check (received between 0 and length),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (id),
    unique (user_id, id),
    foreign key (user_id, consent_id) references consents (user_id, id)
);
create index uploads_old on uploads (expires_at);

alter table uploads enable row level security;
alter table uploads force row level security;
create policy own_rows on uploads to app using (user_id = (select current_member()))
    with check (user_id = (select current_member()));
grant select, insert, delete, update (received) on uploads to app;

-- The sweeper finds whose time is over: whose and which, never what it is called.
create policy any_age on uploads for select to dispatch using (true);
grant select (id, user_id, expires_at) on uploads to dispatch;
