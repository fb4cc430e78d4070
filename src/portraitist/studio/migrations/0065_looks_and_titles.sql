-- A generation that began with a look or a card has a title: what the member sees and searches, as its words are a prompt
-- that is kept out of sight. Its pictures carry the title as their words, and the look they show.
alter table generation_trackers
    add column title text check (char_length(title) between 1 and 120),
    add column look  text check (look ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    add constraint generation_trackers_look_has_title check (look is null or title is not null);
alter table ai_images
    add column look text check (look ~ '^[a-z0-9]+(-[a-z0-9]+)*$');
create index ai_images_of_look on ai_images (user_id, look, created_at desc, id desc)
    where look is not null and deleted_at is null;
