-- Maya: conversations, the cards in her answers and the pictures made of them; what a member has told of their style, what
-- she remembers, and what her answers have cost. A card and its prompt are one row, of one answer.

create table maya_chats (
    user_id    text not null references users (id),
    id         uuid not null,
    title      text not null default '' check (char_length(title) <= 80),
    created_at timestamptz not null,
    said_at    timestamptz not null,
    primary key (id),
    unique (user_id, id)
);
create index maya_chats_newest on maya_chats (user_id, said_at desc, id desc);

create table maya_messages (
    user_id         text not null,
    chat_id         uuid not null,
    id              uuid not null,
    place           int not null check (place >= 0),
    role            text not null check (role in ('member', 'maya')),
    status          text not null check (status in ('said', 'answering', 'answered', 'failed')),
    text            text not null default '',
    suggestions     text[] not null default '{}',
    refines         uuid,
    error_code      text,
    error           text,
    idempotency_key text,
    created_at      timestamptz not null,
    answered_at     timestamptz,
    primary key (id),
    unique (user_id, id),
    unique (chat_id, place),
    unique (user_id, idempotency_key),
    foreign key (user_id, chat_id) references maya_chats (user_id, id) on delete cascade,
    check ((role = 'member') = (status = 'said')),
    check ((status = 'failed') = (error_code is not null))
);
create unique index maya_messages_one_answer_at_once on maya_messages (chat_id) where status = 'answering';

create table concept_cards (
    user_id     text not null,
    message_id  uuid not null,
    id          uuid not null,
    place       int not null check (place between 0 and 5),
    title       text not null check (char_length(title) between 1 and 80),
    description text not null check (char_length(description) between 1 and 400),
    shot        text not null check (shot in ('close_up', 'half_body', 'full_scene')),
    category    text not null check (char_length(category) between 1 and 60),
    prompt      text not null check (char_length(prompt) between 1 and 2000),
    look        text,
    parts       jsonb,
    parent_id   uuid,
    created_at  timestamptz not null,
    primary key (id),
    unique (user_id, id),
    unique (message_id, place),
    foreign key (user_id, message_id) references maya_messages (user_id, id) on delete cascade,
    foreign key (user_id, parent_id) references concept_cards (user_id, id) on delete set null (parent_id)
);
create index concept_cards_of_message on concept_cards (user_id, message_id, place);
alter table maya_messages add foreign key (user_id, refines) references concept_cards (user_id, id)
    on delete set null (refines);

create table maya_shots (
    user_id       text not null,
    card_id       uuid not null,
    generation_id uuid not null,
    created_at    timestamptz not null,
    primary key (card_id, generation_id),
    foreign key (user_id, card_id) references concept_cards (user_id, id) on delete cascade,
    foreign key (user_id, generation_id) references generation_trackers (user_id, id) on delete cascade
);
create index maya_shots_of_generation on maya_shots (user_id, generation_id);

create table maya_styles (
    user_id    text not null references users (id),
    colours    text[] not null default '{}',
    settings   text[] not null default '{}',
    limits     text not null default '' check (char_length(limits) <= 400),
    no_go      text[] not null default '{}',
    changed_at timestamptz not null,
    primary key (user_id)
);

create table maya_memory (
    user_id    text not null references users (id),
    id         uuid not null,
    note       text not null check (char_length(note) between 1 and 200),
    source     text not null check (source in ('member', 'maya')),
    created_at timestamptz not null,
    primary key (id),
    unique (user_id, id),
    unique (user_id, note)
);
create index maya_memory_oldest on maya_memory (user_id, created_at, id);

-- Tokens and money of her answers: taken in advance when she is asked, put right when she has answered.
create table maya_usage (
    user_id     text not null references users (id),
    id          uuid not null,
    tokens      bigint not null check (tokens >= 0),
    cost_micros bigint not null check (cost_micros >= 0),
    created_at  timestamptz not null,
    primary key (id),
    unique (user_id, id)
);
create index maya_usage_of_a_day on maya_usage (user_id, created_at);

do $$
declare
    t text;
begin
    foreach t in array array['maya_chats', 'maya_messages', 'concept_cards', 'maya_shots', 'maya_styles', 'maya_memory',
                             'maya_usage'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I to app using (user_id = (select current_member())) '
                       'with check (user_id = (select current_member()))', t);
    end loop;
    foreach t in array array['maya_chats', 'maya_messages', 'maya_styles', 'maya_memory'] loop
        execute format('create trigger no_return before insert on %I for each row '
                       'execute function refuse_the_erased(''account'')', t);
        execute format('create trigger not_held before insert on %I for each row '
                       'execute function refuse_the_held()', t);
    end loop;
    foreach t in array array['maya_chats', 'maya_messages', 'concept_cards', 'maya_styles', 'maya_memory'] loop
        execute format(
            'create policy quarantine on %I as restrictive for select to app using ((select
                 coalesce(current_setting(''app.part'', true), '''') = ''worker'' or not exists (
                     select from legal_holds h where h.user_id = current_member() and h.released_at is null)))', t);
    end loop;
end $$;
grant select, insert, update (title, said_at), delete on maya_chats to app;
grant select, insert, update (status, text, suggestions, error_code, error, created_at, answered_at), delete
    on maya_messages to app;
grant select, insert, delete on concept_cards, maya_shots to app;
grant select, insert, update, delete on maya_styles to app;
grant select, insert, update (note, source), delete on maya_memory to app;
grant select, insert, update (tokens, cost_micros), delete on maya_usage to app;
