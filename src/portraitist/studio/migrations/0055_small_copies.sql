-- A picture's main colour, shown until it has come, and the size of its small copy, if one was made: a WebP beside the file,
-- made by the worker for pictures that a member looks at on a wall.
alter table ai_images
    add column tint        int check (tint between 0 and 16777215),
    add column small_bytes int check (small_bytes > 0);
