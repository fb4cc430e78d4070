-- The gallery: search by words, deletion that can be undone for a while, albums.

-- The words that a picture was asked for with stand beside it, so that a page of search results reads one table.
alter table ai_images
    add column words      text not null default '',
    add column deleted_at timestamptz,
    add column purging_at timestamptz,
    add column search     tsvector generated always as (to_tsvector('simple', words)) stored,
    add constraint ai_images_purged_when_deleted check (purging_at is null or deleted_at is not null);

-- The owner is subject to row-level security too; for this one statement it must see every row.
alter table ai_images no force row level security;
update ai_images i set words = g.words from generation_trackers g where g.id = i.generation_id;
alter table ai_images force row level security;

drop index ai_images_newest;
create index ai_images_newest on ai_images (user_id, created_at desc, id desc) where deleted_at is null;
create index ai_images_saved on ai_images (user_id, created_at desc, id desc) where saved and deleted_at is null;
create index ai_images_favourite on ai_images (user_id, created_at desc, id desc)
    where favourite and deleted_at is null;
create index ai_images_deleted on ai_images (user_id, created_at desc, id desc) where deleted_at is not null;
create index ai_images_swept on ai_images (deleted_at) where deleted_at is not null;
grant delete on ai_images to app;

-- The sweeper finds what was deleted long enough ago: whose, which, when; of nothing else that a row exists.
create policy deleted_ones on ai_images for select to dispatch using (deleted_at is not null);
grant select (id, user_id, deleted_at) on ai_images to dispatch;

create table albums (
    user_id         text not null references users (id),
    id              uuid not null,
    name            text not null check (char_length(name) between 1 and 80),
    idempotency_key text,
    created_at      timestamptz not null,
    primary key (id),
    unique (user_id, id),
    unique (user_id, name),
    unique (user_id, idempotency_key)
);
create index albums_newest on albums (user_id, created_at desc, id desc);

-- `pictured_at` is the picture's own time: a page of an album reads the index below in its order.
create table album_images (
    user_id     text not null,
    album_id    uuid not null,
    image_id    uuid not null,
    pictured_at timestamptz not null,
    primary key (album_id, image_id),
    foreign key (user_id, album_id) references albums (user_id, id) on delete cascade,
    foreign key (user_id, image_id) references ai_images (user_id, id) on delete cascade
);
create index album_images_newest on album_images (user_id, album_id, pictured_at desc, image_id desc);
create index album_images_of_image on album_images (user_id, image_id);

do $$
declare
    t text;
begin
    foreach t in array array['albums', 'album_images'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I to app using (user_id = (select current_member())) '
                       'with check (user_id = (select current_member()))', t);
    end loop;
end $$;
grant select, insert, update (name), delete on albums to app;
grant select, insert, delete on album_images to app;
