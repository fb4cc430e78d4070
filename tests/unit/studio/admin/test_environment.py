"""What the environment has decided, as an admin reads it: no secret, and no address with a password in it."""

from pathlib import Path

from portraitist.studio.config import StudioSettings
from portraitist.studio.settings.environment import variables

SECRETS = ("p4ssw0rd", "t0ken", "1nstance", "k3y", "sm7p")
SETTINGS = StudioSettings(
    portraitist_home=Path("/srv/studio"),
    database_url="postgresql://app:p4ssw0rd@db/studio",
    storage_url="s3://key:p4ssw0rd@bucket/prefix",
    replicate_api_token="t0ken",
    replicate_username="studio",
    instance_token="1nstance",
    secret_key="k3y",
    smtp_url="smtp://studio:sm7p@mail:587",
    mail_from="studio@example.org",
    keep_weights=False,
    portraitist_testing=True,
)
TOLD = {each.name: each for each in variables(SETTINGS)}


def test_of_secrets_it_is_told_that_they_are_set() -> None:
    assert all(secret not in each.value for secret in SECRETS for each in TOLD.values())
    hidden = {name for name, each in TOLD.items() if each.value == "set"}
    assert hidden == {
        "DATABASE_URL",
        "STORAGE_URL",
        "REPLICATE_API_TOKEN",
        "INSTANCE_TOKEN",
        "SECRET_KEY",
        "SMTP_URL",
    }


def test_what_was_set_is_told_from_what_holds_by_itself() -> None:
    assert (TOLD["MAIL_FROM"].given, TOLD["MAIL_FROM"].value) == (True, "studio@example.org")
    assert (TOLD["KEEP_WEIGHTS"].given, TOLD["KEEP_WEIGHTS"].value) == (True, "false")
    assert (TOLD["STUDIO_PORT"].given, TOLD["STUDIO_PORT"].value) == (False, "8700")
    assert (TOLD["PEOPLE_FILE"].given, TOLD["PEOPLE_FILE"].value) == (False, "")


def test_every_variable_says_what_it_means_and_those_of_tests_are_left_out() -> None:
    assert all(each.meaning for each in TOLD.values())
    assert not {"PORTRAITIST_TESTING", "PORTRAITIST_FAILPOINTS"} & TOLD.keys()
