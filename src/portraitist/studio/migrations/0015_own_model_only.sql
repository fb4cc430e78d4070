-- "Own model only", the rest of it as constraints: a model carries its member's name, a version is its training's (same
-- account, same destination), a generation runs where its version lives, and a prompt names its own member first.

alter table trainings
    add constraint trainings_own_destination check (split_part(destination, '/', 2) = user_id || '-selfie-lora'),
    add constraint trainings_whole unique (user_id, id, account_id, destination);

alter table model_versions
    add constraint model_versions_own_model check (split_part(replicate_model_id, '/', 2) = user_id || '-selfie-lora'),
    add constraint model_versions_of_training foreign key (user_id, training_id, account_id, replicate_model_id)
        references trainings (user_id, id, account_id, destination),
    add constraint model_versions_at_account unique (user_id, id, account_id);

alter table generation_trackers
    add constraint generation_trackers_where_version_lives foreign key (user_id, model_version_id, account_id)
        references model_versions (user_id, id, account_id),
    add constraint generation_trackers_own_trigger check (starts_with(prompt, 'user' || user_id || ' '));
