-- Audit events: what was done that matters for security, by whom, to whom. Appended, never changed: by grants, and by a
-- trigger that holds whoever has more. The time is the database's; members are named by a random number of their own
-- that goes with their row, so that events outlive an erasure and lead to nobody.

alter table users
    add column audit_subject uuid not null default gen_random_uuid(),
    add constraint users_audit_subject unique (audit_subject);
grant select (audit_subject) on users to registrar;

create table audit_events (
    id       uuid primary key default gen_random_uuid(),
    at       timestamptz not null default clock_timestamp(),
    action   text not null check (action ~ '^[a-z_]+\.[a-z_]+$' and length(action) <= 60),
    actor    text not null check (actor in ('member', 'admin', 'host', 'studio', 'nobody')),
    actor_id uuid,
    subject  uuid,
    -- numbers, ids and words of our own: no address, no name, no word of a member's
    detail   jsonb not null default '{}' check (
        jsonb_typeof(detail) = 'object' and octet_length(detail::text) <= 1000 and detail::text !~ '@')
);
create index audit_events_in_time on audit_events (at desc, id desc);
create index audit_events_of_subject on audit_events (subject, at desc, id desc);

-- The order in which committed events were sealed: each digest covers the event, its number and the digest before.
create table audit_chain (
    seq       bigint primary key check (seq > 0),
    event_id  uuid not null unique references audit_events (id),
    digest    bytea not null check (octet_length(digest) = 32),
    sealed_at timestamptz not null default clock_timestamp()
);

create function refuse_rewriting() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $$
begin
    raise exception 'audit events are appended, never changed' using errcode = 'PE003';
end $$;
create trigger append_only before update or delete or truncate on audit_events
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on audit_chain
    for each statement execute function refuse_rewriting();

alter table audit_events enable row level security;
alter table audit_events force row level security;
alter table audit_chain enable row level security;
alter table audit_chain force row level security;

-- A member's transaction appends about that member or about nobody, and reads its own.
create policy own_trail on audit_events for select to app
    using (subject = (select u.audit_subject from users u where u.id = (select current_member())));
create policy append_own on audit_events for insert to app
    with check (subject is null
        or subject = (select u.audit_subject from users u where u.id = (select current_member())));
create policy whole_trail on audit_events for select to registrar using (true);
create policy append_any on audit_events for insert to registrar with check (true);
create policy to_seal on audit_events for select to dispatch using (true);
grant select, insert (action, actor, actor_id, subject, detail) on audit_events to app, registrar;
grant select on audit_events to dispatch;

create policy seal on audit_chain for select to dispatch using (true);
create policy append_seal on audit_chain for insert to dispatch with check (true);
create policy check_seals on audit_chain for select to registrar using (true);
grant select, insert (seq, event_id, digest) on audit_chain to dispatch;
grant select on audit_chain to registrar;
