"""A migrated studio database for tests: made once per session, cloned for each test."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from portraitist.kit.embedded_postgres import Server
from portraitist.studio import roles

APP_PASSWORD = "app-in-tests"


@pytest.fixture
def studio_database(
    postgres: Server, make_template: Callable[..., str], make_database: Callable[..., str]
) -> Iterator[str]:
    """The name of a fresh, migrated studio database."""

    def fill(url: str) -> None:
        asyncio.run(roles.migrate(url, app_password=APP_PASSWORD))

    yield make_database(template=make_template("studio_template", fill))
