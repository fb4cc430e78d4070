-- Parts of a copy that a slow or dying worker stored after another had finished it: looked for once, some time after
-- the copy was stored or given up. Null until then.
alter table weights_archives add column parts_cleared_at timestamptz;
create index weights_archives_parts on weights_archives (next_check_at)
    where parts_cleared_at is null and status <> 'wanted';
grant select (parts_cleared_at) on weights_archives to dispatch;
