-- Mail: what is to be told to a member, and links that go to their own mailbox. A row says what kind of letter; the secret
-- of its link is made when it is sent, and only its digest is kept.

alter table one_time_links
    drop constraint one_time_links_kind_check,
    add constraint one_time_links_kind_check
        check (kind in ('first', 'invitation', 'reset', 'mailed_reset', 'sign_in', 'proof')),
    drop constraint one_time_links_check,
    add constraint one_time_links_of_a_member check ((kind in ('first', 'invitation')) = (user_id is null));
grant insert on one_time_links to app;

create table mails (
    user_id       text not null references users (id),
    id            uuid not null,
    kind          text not null check (kind in ('sign_in', 'mailed_reset', 'proof', 'signed_in', 'password_changed',
                                                'credential_changed', 'photos_announced')),
    detail        jsonb not null default '{}',
    created_at    timestamptz not null,
    next_check_at timestamptz not null,
    leased_until  timestamptz,
    tries         int not null default 0,
    primary key (id),
    unique (user_id, id)
);
create index mails_due on mails (next_check_at);
create index mails_of_member on mails (user_id);
alter table mails enable row level security;
alter table mails force row level security;
create policy own_rows on mails to app using (user_id = (select current_member()))
    with check (user_id = (select current_member()));
grant select, insert, update, delete on mails to app;
create policy all_work on mails for select to dispatch using (true);
create policy lease on mails for update to dispatch using (true) with check (true);
grant select (id, user_id, next_check_at, leased_until), update (leased_until) on mails to dispatch;

-- Somebody wants a link for an address. Whether anybody has it is looked up later, by the worker, so that the answer
-- takes as long for one as for the other. Rows live for seconds.
create table mail_wishes (
    id         uuid primary key,
    kind       text not null check (kind in ('sign_in', 'mailed_reset')),
    address    text not null check (length(address) <= 254),
    created_at timestamptz not null
);
grant select, insert, delete, update (created_at) on mail_wishes to app; -- an update, only to be able to lock

create function member_of_email(address text) returns table (user_id text)
    language sql stable security definer
    set search_path = pg_catalog
as $$
    select u.id from public.users u where u.email = address and u.disabled_at is null
$$;
revoke all on function member_of_email(text) from public;
grant execute on function member_of_email(text) to app;
