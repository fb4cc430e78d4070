-- Test pictures of earlier tries of a verification: their seeds, and the runs that were judged. A second run of such
-- a picture may turn up after another seed was drawn; it is told from the judged one by its id.
alter table trainings
    add column past_seeds int[] not null default '{}',
    add column past_tests text[] not null default '{}';
