"""Fixtures for every suite: one real PostgreSQL server per session, and fresh databases on it.

Nothing here knows the studio or the engine; their suites add roles and schemas in their own conftest files.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from portraitist.kit.embedded_postgres import EmbeddedPostgres, Server
from portraitist.kit.processes import birth

pytest_plugins = ["tests.not_run"]

# Property tests draw the same examples every time, so that a run says something of the change and not of its luck, and
# without a stop-watch: the machine is shared, and a slow example is not a wrong one. New ones are drawn by
# `pytest --hypothesis-profile=search`.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("same")

# Sound for killed processes, not for power cuts: no test pulls the plug.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
PREFIX = "portraitist-session-"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def _server_in(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder / "home", state_root=folder / "state", settings=FAST)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server of this session's own, stopped and removed at its end."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):  # by sessions that were killed
        if not birth(int(left.name.removeprefix(PREFIX).partition("-")[0])):
            _server_in(left).stop()
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    folder.chmod(0o711)  # under root, the server runs as another user who must pass through
    embedded = _server_in(folder)
    try:
        yield embedded.start()
    finally:
        embedded.stop()
        shutil.rmtree(folder)


Administer = Callable[..., None]
"""Runs a statement as the server's superuser; names of things are put into its braces."""


@pytest.fixture(scope="session")
def administer(postgres: Server) -> Iterator[Administer]:
    """One connection for all of the session's databases: a new one costs as much as cloning."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as conn:

        def run(statement: str, *names: str) -> None:
            conn.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

        yield run


@pytest.fixture
def make_database(administer: Administer) -> Iterator[Callable[..., str]]:
    """Makes a database that lives as long as the test, and returns its name.

    `template` clones another one (30 ms); `owner` is a role that must exist. Address: `postgres.url(name)`.
    """
    made: list[str] = []

    def make(*, template: str = "template1", owner: str = "postgres") -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        administer("create database {} template {} owner {} strategy wal_log", name, template, owner)
        made.append(name)
        return name

    yield make
    for name in made:
        administer("drop database {} with (force)", name)


@pytest.fixture(scope="session")
def make_template(postgres: Server, administer: Administer) -> Callable[[str, Callable[[str], None]], str]:
    """Makes a database once per session, has it filled (given its superuser's URL), and returns its name.

    Close every connection in the filler: PostgreSQL clones only a database that nobody uses.
    """
    made: set[str] = set()

    def make(name: str, fill: Callable[[str], None]) -> str:
        if name not in made:
            administer("create database {}", name)
            fill(postgres.url(name))
            made.add(name)
        return name

    return make
