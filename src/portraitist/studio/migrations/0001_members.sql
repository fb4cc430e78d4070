-- Members, their consents, selfies, trainings, model versions, generations and pictures.
--
-- Every table that holds a member's things has a user_id, forced row-level security and composite keys
-- (user_id, id), so that "own model only" is a constraint and not a habit. Roles: the owner runs this file;
-- `app` is what web and worker log in as; `dispatch` is what they assume (set local role) to look across
-- members at ids, states and times, never at photos, prompts or pictures. See docs/isolation.md.

-- The member of this transaction; null (and so no row at all) where none was set.
create function current_member() returns text
    language sql stable parallel safe
    set search_path = pg_catalog
as $$ select nullif(current_setting('app.user_id', true), '') $$;

create table users (
    id            text primary key check (id ~ '^[a-z0-9]{12}$'),
    handle        text not null unique check (handle <> ''),
    subject_word  text not null check (subject_word ~ '^[[:alnum:]][[:alnum:] -]{0,39}$'),
    created_at    timestamptz not null
);

create table api_tokens (
    user_id     text not null references users (id),
    id          uuid not null,
    token_hash  bytea not null unique check (octet_length(token_hash) = 32),
    name        text not null,
    created_at  timestamptz not null,
    primary key (id),
    unique (user_id, id)
);

create table consents (
    user_id         text not null references users (id),
    id              uuid not null,
    wording_version text not null,
    wording_sha256  bytea not null check (octet_length(wording_sha256) = 32),
    given_at        timestamptz not null,
    withdrawn_at    timestamptz,
    primary key (id),
    unique (user_id, id)
);

create table selfies (
    user_id       text not null references users (id),
    id            uuid not null,
    consent_id    uuid not null,
    file_name     text not null,
    source_sha256 bytea not null check (octet_length(source_sha256) = 32),
    status        text not null check (status in ('accepted', 'rejected')),
    reason_code   text,
    reason        text,
    object_key    text unique,
    sha256        bytea check (octet_length(sha256) = 32),
    width         int,
    height        int,
    dhash         bigint,
    created_at    timestamptz not null,
    primary key (id),
    unique (user_id, id),
    unique (user_id, source_sha256),
    foreign key (user_id, consent_id) references consents (user_id, id),
    check ((status = 'accepted') = (object_key is not null and sha256 is not null and dhash is not null)),
    check ((status = 'rejected') = (reason_code is not null and reason is not null))
);

-- Which account of which provider a model version belongs to. Tokens are never stored here.
create table provider_accounts (
    id         text primary key,
    base_url   text not null,
    username   text not null,
    created_at timestamptz not null
);

-- The row is the state machine: see docs/lifecycles.md, checked against this list. Every write is guarded by
-- the revision it was decided on, so a step that runs twice, or late, changes nothing.
create table trainings (
    user_id              text not null references users (id),
    id                   uuid not null,
    status               text not null check (status in (
                             'queued', 'submitting', 'submitted', 'training', 'extracting', 'verifying', 'completed',
                             'failed', 'canceled', 'extraction_failed', 'verification_failed')),
    account_id           text not null references provider_accounts (id),
    idempotency_key      text,
    trigger_word         text not null,
    destination          text not null check (destination ~ '^[^/]+/[^/:]+$'),
    trainer              text not null,
    requested            jsonb not null,
    effective            jsonb not null default '{}',
    attempt              int not null default 0,
    retries              int not null default 0,
    revision             int not null default 0,
    next_check_at        timestamptz not null,
    leased_until         timestamptz,
    submit_token         text unique,
    submitted_at         timestamptz,
    photos_key           text,
    photos_file_id       text,
    photos_url           text,
    provider_training_id text,
    phase                text not null default 'queued',
    step                 int,
    total_steps          int,
    logs_tail            text not null default '',
    raw_output           jsonb,
    candidate_version    text check (candidate_version ~ '^[0-9a-f]{64}$'),
    candidate_schema     jsonb,
    verify_seed          int,
    verify_submitted_at  timestamptz,
    verify_prediction_id text,
    cancel_requested_at  timestamptz,
    error_code           text,
    error                text,
    created_at           timestamptz not null,
    started_at           timestamptz,
    finished_at          timestamptz,
    primary key (id),
    unique (user_id, id),
    unique (user_id, idempotency_key),
    check (trigger_word = 'user' || user_id),
    check (status <> 'submitting' or submit_token is not null),
    check (status not in ('submitted', 'training', 'extracting', 'verifying', 'completed')
           or provider_training_id is not null),
    check (status not in ('verifying', 'completed') or candidate_version is not null)
);

-- One training is paid for at a time. Extracting and verifying cost nothing, so a parked run may come back to them.
create unique index trainings_one_active on trainings (user_id)
    where status in ('queued', 'submitting', 'submitted', 'training');
create index trainings_due on trainings (next_check_at)
    where status not in ('completed', 'failed', 'canceled');
create unique index trainings_provider_id on trainings (account_id, provider_training_id);

-- Which photos a training saw. The digest stays when the photo itself is gone.
create table training_selfies (
    user_id       text not null,
    training_id   uuid not null,
    source_sha256 bytea not null check (octet_length(source_sha256) = 32),
    selfie_id     uuid,
    primary key (training_id, source_sha256),
    foreign key (user_id, training_id) references trainings (user_id, id),
    foreign key (user_id, selfie_id) references selfies (user_id, id) on delete set null (selfie_id)
);

-- What was promoted, and when: the member's history of working models.
create table model_versions (
    user_id              text not null references users (id),
    id                   uuid not null,
    training_id          uuid not null,
    account_id           text not null references provider_accounts (id),
    replicate_model_id   text not null check (replicate_model_id ~ '^[^/]+/[^/:]+$'),
    replicate_version_id text not null check (replicate_version_id ~ '^[0-9a-f]{64}$'),
    input_schema         jsonb not null,
    verified_image_sha256 bytea not null check (octet_length(verified_image_sha256) = 32),
    created_at           timestamptz not null,
    promoted_at          timestamptz,
    primary key (id),
    unique (user_id, id),
    unique (training_id),
    -- what a generation must name, whole, to run
    unique (user_id, id, replicate_model_id, replicate_version_id),
    foreign key (user_id, training_id) references trainings (user_id, id)
);

create table user_models (
    user_id              text primary key references users (id),
    trigger_word         text not null check (trigger_word = 'user' || user_id),
    active_version_id    uuid,
    replicate_model_id   text,
    replicate_version_id text,
    updated_at           timestamptz not null,
    -- both or neither: null:null can't be composed
    check ((replicate_model_id is null) = (replicate_version_id is null)),
    check ((active_version_id is null) = (replicate_version_id is null)),
    foreign key (user_id, active_version_id, replicate_model_id, replicate_version_id)
        references model_versions (user_id, id, replicate_model_id, replicate_version_id)
);

create table generation_trackers (
    user_id                text not null references users (id),
    id                     uuid not null,
    status                 text not null check (status in (
                               'queued', 'submitting', 'submitted', 'running', 'storing', 'completed',
                               'failed', 'canceled', 'lost_at_provider')),
    model_version_id       uuid not null,
    account_id             text not null references provider_accounts (id),
    idempotency_key        text,
    words                  text not null,
    prompt                 text not null,
    seed                   int not null check (seed between 0 and 999999),
    requested              jsonb not null,
    attempt                int not null default 0,
    revision               int not null default 0,
    next_check_at          timestamptz not null,
    leased_until           timestamptz,
    submitted_at           timestamptz,
    provider_prediction_id text,
    raw_output             jsonb,
    unknown_words          text[] not null default '{}',
    cancel_requested_at    timestamptz,
    error_code             text,
    error                  text,
    created_at             timestamptz not null,
    finished_at            timestamptz,
    primary key (id),
    unique (user_id, id),
    unique (user_id, idempotency_key),
    -- an uncertain start is found again by version, prompt and seed
    unique (user_id, prompt, seed),
    foreign key (user_id, model_version_id) references model_versions (user_id, id),
    check (status not in ('submitted', 'running', 'storing', 'completed') or provider_prediction_id is not null)
);

create index generation_trackers_due on generation_trackers (next_check_at)
    where status not in ('completed', 'failed', 'canceled', 'lost_at_provider');
create index generation_trackers_newest on generation_trackers (user_id, created_at desc, id desc);
create unique index generation_trackers_provider_id on generation_trackers (account_id, provider_prediction_id);

-- One row per picture file that we hold.
create table ai_images (
    user_id       text not null,
    id            uuid not null,
    generation_id uuid not null,
    index         int not null check (index >= 0),
    object_key    text not null unique,
    sha256        bytea not null check (octet_length(sha256) = 32),
    width         int not null,
    height        int not null,
    bytes         int not null,
    saved         boolean not null default false,
    favourite     boolean not null default false,
    created_at    timestamptz not null,
    primary key (id),
    unique (user_id, id),
    unique (generation_id, index),
    foreign key (user_id, generation_id) references generation_trackers (user_id, id)
);

create index ai_images_newest on ai_images (user_id, created_at desc, id desc);
