-- Token buckets that all processes share (kit/limits.py). Unlogged: after a crash of the server they are full
-- again, which costs one burst and no write to the log per request. They say nothing about members.
create unlogged table rate_limits (
    name         text primary key,
    tokens       double precision not null,
    filled_at    timestamptz not null,
    paused_until timestamptz not null default '-infinity'
);
grant select, insert, update on rate_limits to app;
