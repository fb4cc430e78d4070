-- A set may be each look once, in the shot that stands for it, or every look in all its shots.
alter table photo_sets add column every_shot boolean not null default false;
