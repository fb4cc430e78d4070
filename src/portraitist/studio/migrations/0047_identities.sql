-- Who a member is at the operator's sign-in provider: its own number for them, never an address.

create table identities (
    user_id    text not null references users (id),
    id         uuid not null,
    issuer     text not null check (length(issuer) <= 500),
    subject    text not null check (length(subject) between 1 and 255),
    created_at timestamptz not null,
    used_at    timestamptz,
    primary key (id),
    unique (user_id, id),
    unique (issuer, subject)
);
create index identities_of_member on identities (user_id, created_at);
alter table identities enable row level security;
alter table identities force row level security;
create policy own_rows on identities to app using (user_id = (select current_member()))
    with check (user_id = (select current_member()));
create trigger no_return before insert on identities for each row execute function refuse_the_erased('account');
grant select, insert, delete, update (used_at) on identities to app;

-- The member of a whole (issuer, subject), which a signed answer has just said.
create policy look_up on identities for select to current_user using (true);
create function member_of_identity(whole_issuer text, whole_subject text) returns table (user_id text)
    language sql stable security definer
    set search_path = pg_catalog
as $$
    select i.user_id from public.identities i join public.users u on u.id = i.user_id
    where i.issuer = whole_issuer and i.subject = whole_subject and u.disabled_at is null
$$;
revoke all on function member_of_identity(text, text) from public;
grant execute on function member_of_identity(text, text) to app;
