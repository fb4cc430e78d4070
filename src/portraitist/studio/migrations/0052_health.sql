-- How the studio was, once a minute: what was due, what waited, what was at the engines, whether the parts answered. For
-- the admin's plots; numbers of the whole studio, and nothing that leads to a member.
create table health_samples (
    at               timestamptz primary key check (date_trunc('minute', at) = at),
    due              int not null check (due >= 0),
    oldest_due_s     real not null check (oldest_due_s >= 0),
    waiting          int not null check (waiting >= 0),
    in_flight        int not null check (in_flight >= 0),
    workers          int not null check (workers >= 0),
    engine_reachable boolean not null,
    engine_ms        real not null check (engine_ms >= 0),
    database_ms      real not null check (database_ms >= 0),
    database_bytes   bigint not null check (database_bytes >= 0),
    storage_ok       boolean not null,
    storage_bytes    bigint check (storage_bytes >= 0), -- counted once an hour
    storage_free     bigint check (storage_free >= 0)   -- only where the storage is a folder
);
grant select, insert, delete on health_samples to dispatch;
