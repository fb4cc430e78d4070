-- What ended while a member's stream was cut is told when it comes back: found by when it ended.
create index trainings_ended on trainings (user_id, finished_at) where finished_at is not null;
create index generation_trackers_ended on generation_trackers (user_id, finished_at) where finished_at is not null;
-- What a member has on its way, without a look at all that ever ended.
create index generation_trackers_moving on generation_trackers (user_id, created_at desc)
    where status not in ('completed', 'failed', 'canceled', 'lost_at_provider');
