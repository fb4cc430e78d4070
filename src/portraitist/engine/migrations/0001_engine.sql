-- The engine's own database: models, sealed versions, runs, outputs, files, webhooks, workers.
-- One account owns everything here; the trainer is built in and has no row but in `runs`.

create table secrets (
    name text primary key,
    value text not null
);

create table models (
    owner text not null,
    name text not null check (name ~ '^[a-z0-9][a-z0-9._-]{0,127}$'),
    visibility text not null check (visibility in ('public', 'private')),
    hardware text not null,
    description text,
    readme text,
    github_url text,
    paper_url text,
    weights_url text,
    license_url text,
    cover_image_url text,
    run_count integer not null default 0,
    created_at timestamptz not null default now(),
    primary key (owner, name)
);

-- Trainings and predictions: an id resolves under both paths, so they are one table.
create table runs (
    id text primary key check (id ~ '^[0-9a-z]{26}$'),
    kind text not null check (kind in ('training', 'prediction')),
    status text not null default 'starting'
        check (status in ('starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted')),
    owner text not null,
    name text not null,
    version_id text not null,
    destination text check ((kind = 'training') = (destination is not null)),
    input jsonb not null,
    notes jsonb not null default '[]',
    output jsonb,
    error text,
    logs text not null default '',
    webhook text,
    webhook_events jsonb not null default '[]',
    created_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    deadline timestamptz,
    data_removed boolean not null default false,
    attempts integer not null default 0,
    predict_s double precision,
    claim text,
    leased_until timestamptz,
    check ((status in ('starting', 'processing')) = (completed_at is null))
);
create index runs_waiting on runs (kind, created_at) where completed_at is null;
create index runs_newest on runs (kind, created_at desc, id desc);
create index runs_to_forget on runs (completed_at) where not data_removed;

create table versions (
    id text primary key check (id ~ '^[0-9a-f]{64}$'),
    owner text not null,
    name text not null,
    training_id text not null references runs (id),
    created_at timestamptz not null default now(),
    -- Set when the files are stored whole; a version that never gets there is erased.
    ready_at timestamptz,
    deleted_at timestamptz,
    foreign key (owner, name) references models (owner, name)
);
create index versions_of_model on versions (owner, name, created_at desc);

-- A result that may be fetched by whoever has its address.
create table outputs (
    token text not null,
    name text not null,
    run_id text not null references runs (id),
    version_id text references versions (id) on delete cascade,
    key text not null,
    content_type text not null,
    size bigint not null,
    created_at timestamptz not null default now(),
    primary key (token, name)
);
create index outputs_of_run on outputs (run_id);

create table files (
    id text primary key,
    name text not null,
    content_type text not null,
    size bigint not null,
    sha256 text not null,
    md5 text not null,
    metadata jsonb not null default '{}',
    key text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index files_expiring on files (expires_at);

-- Messages to send. Only `completed` is tried again; the others are sent once.
create table webhook_messages (
    id text primary key,
    run_id text not null references runs (id),
    event text not null check (event in ('start', 'output', 'logs', 'completed')),
    attempts integer not null default 0,
    due_at timestamptz not null default now(),
    created_at timestamptz not null default now()
);
create index webhook_messages_due on webhook_messages (due_at);

create table workers (
    id text primary key,
    seen_at timestamptz not null default now()
);

-- What workers measured about this machine (seconds per training step).
create table measurements (
    name text primary key,
    value double precision not null,
    measured_at timestamptz not null default now()
);
