-- Jobs have tables of our own now (kit/jobs.py). What the engine before them left goes; a job that waited there is put
-- in again by its row, whose lease ends.
do $$
declare
    found text;
begin
    drop table if exists procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs,
        procrastinate_workers cascade;
    for found in
        select oid::regprocedure::text from pg_proc
        where pronamespace = 'public'::regnamespace and proname like 'procrastinate%'
    loop
        execute 'drop function if exists ' || found || ' cascade';
    end loop;
    for found in
        select oid::regtype::text from pg_type
        where typnamespace = 'public'::regnamespace and typname like 'procrastinate%' and typtype = 'e'
    loop
        execute 'drop type if exists ' || found || ' cascade';
    end loop;
end $$;
