-- One version of a member's model is erased: its row stays as a name, because the pictures that were made with it hang on
-- it, but nothing is behind it any more and nothing can be made with it.
alter table model_versions add column erased_at timestamptz;
alter table erasures drop constraint erasures_scope_check,
    add constraint erasures_scope_check check (scope in ('account', 'consent', 'version', 'picture'));
alter table erasure_receipts drop constraint erasure_receipts_scope_check,
    add constraint erasure_receipts_scope_check check (scope in ('account', 'consent', 'version', 'picture'));
