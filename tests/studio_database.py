"""A migrated studio database for tests: made once per session, cloned for each test."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from portraitist.kit.embedded_postgres import Server, ensure_database, ensure_role
from portraitist.studio import roles

APP_PASSWORD = "app-in-tests"
OWNER, OWNER_PASSWORD = "owner", "owner-in-tests"


def migrated(server: Server, name: str, url: str) -> None:
    """Make the database a studio's, by a plain owner as `up` does it."""
    ensure_role(server, OWNER, OWNER_PASSWORD, options="nosuperuser nobypassrls")
    ensure_database(server, name, OWNER)
    asyncio.run(roles.ensure(url, app_password=APP_PASSWORD))
    asyncio.run(roles.migrate(server.url(name, OWNER, OWNER_PASSWORD), app_password=None))


@pytest.fixture
def studio_database(
    postgres: Server, make_template: Callable[..., str], make_database: Callable[..., str]
) -> Iterator[str]:
    """The name of a fresh, migrated studio database."""
    name = "studio_template"
    yield make_database(template=make_template(name, lambda url: migrated(postgres, name, url)), owner=OWNER)
