-- A model lies in the namespace of the account that trains it: whose name stands before the slash is that account's, and
-- an account keeps its name (its id stands for no other).

alter table provider_accounts add constraint provider_accounts_named unique (id, username);

alter table trainings
    add column model_owner text generated always as (split_part(destination, '/', 1)) stored,
    add constraint trainings_at_own_account foreign key (account_id, model_owner)
        references provider_accounts (id, username);
