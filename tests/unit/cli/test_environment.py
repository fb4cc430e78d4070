"""Which parts an instance needs, and what each part is told."""

import pytest

from portraitist.cli import environment
from portraitist.cli.environment import Databases, Ports, Secrets
from portraitist.cli.errors import BadUsage

SECRETS = Secrets("instance", "signing", "engine-token")
PORTS = Ports(web=8700, engine=8188)
EMBEDDED = Databases(
    app="postgresql://app:a@/p", owner="postgresql://postgres:o@/p", engine="postgresql://e:e@/e"
)


def test_with_nothing_configured_everything_is_embedded() -> None:
    chosen = environment.choices({})
    assert chosen.embedded_engine
    assert chosen.embedded_postgres


def test_a_cloud_token_leaves_the_engine_out_but_not_the_database() -> None:
    chosen = environment.choices({"REPLICATE_API_TOKEN": "r8", "REPLICATE_USERNAME": "ada"})
    assert not chosen.embedded_engine
    assert chosen.embedded_postgres


def test_a_database_of_ones_own_still_leaves_the_engine_its_embedded_one() -> None:
    chosen = environment.choices({"DATABASE_URL": "postgresql://app:x@db/p"})
    assert chosen.embedded_postgres
    both = {"DATABASE_URL": "postgresql://app:x@db/p", "ENGINE_DATABASE_URL": "postgresql://e:x@db/e"}
    assert not environment.choices(both).embedded_postgres


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"REPLICATE_API_TOKEN": "r8"}, "REPLICATE_USERNAME"),
        ({"REPLICATE_BASE_URL": "http://e", "REPLICATE_USERNAME": "ada"}, "REPLICATE_API_TOKEN"),
        ({"DATABASE_OWNER_URL": "postgresql://o@db/p"}, "DATABASE_URL"),
    ],
)
def test_half_a_configuration_is_refused_by_name(environ: dict[str, str], names: str) -> None:
    with pytest.raises(BadUsage) as caught:
        environment.choices(environ)
    assert names in f"{caught.value.message} {caught.value.next_step}"


def test_the_studio_is_told_of_the_embedded_engine_and_never_of_the_owner() -> None:
    environ = {"PATH": "/bin", "DATABASE_OWNER_URL": "postgresql://o:o@db/p"}
    told = environment.studio_environment(
        environ, "/home", EMBEDDED, SECRETS, PORTS, chosen=environment.choices({})
    )
    assert told["REPLICATE_BASE_URL"] == "http://127.0.0.1:8188"
    assert told["REPLICATE_API_TOKEN"] == "engine-token"
    assert told["DATABASE_URL"] == EMBEDDED.app
    assert told["DATABASE_OWNER_URL"] == ""
    assert told["PATH"] == "/bin"


def test_a_configured_provider_is_handed_on_as_it_is() -> None:
    environ = {"REPLICATE_API_TOKEN": "r8", "REPLICATE_USERNAME": "ada"}
    cloud = Databases(app="postgresql://app:a@/p", owner=None, engine=None)
    chosen = environment.choices(environ)
    told = environment.studio_environment(environ, "/home", cloud, SECRETS, PORTS, chosen=chosen)
    assert told["REPLICATE_API_TOKEN"] == "r8"
    assert not {"REPLICATE_BASE_URL", "REPLICATE_ACCOUNT", "KEPT_ENGINE_URL"} & told.keys()


def test_an_engine_that_runs_beside_a_configured_provider_is_only_kept() -> None:
    environ = {"REPLICATE_API_TOKEN": "r8", "REPLICATE_USERNAME": "ada", "REPLICATE_BASE_URL": "http://gpu"}
    chosen = environment.choices(environ, engine_was_here=True)
    told = environment.studio_environment(environ, "/home", EMBEDDED, SECRETS, PORTS, chosen=chosen)
    assert told["REPLICATE_BASE_URL"] == "http://gpu"
    assert told["REPLICATE_ACCOUNT"] == "own"  # `engine` is the embedded one's name in this home
    assert (told["KEPT_ENGINE_URL"], told["KEPT_ENGINE_TOKEN"]) == ("http://127.0.0.1:8188", "engine-token")


def test_an_engine_that_was_here_keeps_its_embedded_database_at_hand() -> None:
    environ = {
        "DATABASE_URL": "postgresql://app:x@db/p",
        "REPLICATE_API_TOKEN": "r8",
        "REPLICATE_USERNAME": "a",
    }
    assert not environment.choices(environ).embedded_postgres
    assert environment.choices(environ, engine_was_here=True).embedded_postgres


def test_the_engine_knows_its_own_database_only_and_the_users_settings_of_it() -> None:
    told = environment.engine_environment({"ENGINE_MAX_STEPS": "6"}, "/home", EMBEDDED, SECRETS, PORTS)
    assert told["ENGINE_DATABASE_URL"] == EMBEDDED.engine
    assert told["ENGINE_MAX_STEPS"] == "6"
    assert "SECRET_KEY" not in told
    assert "DATABASE_URL" not in told


def test_a_password_is_read_from_an_address_and_never_shown() -> None:
    url = "postgresql://app:s%40cret@db/p"
    assert environment.password_of(url) == "s@cret"
    assert "cret" not in environment.without_password(url)
    assert environment.password_of("postgresql://app@db/p") is None
