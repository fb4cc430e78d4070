"""Security tests work on a migrated studio database; some on one with two members who have everything."""

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from tests.security.full_members import FullMember, Studio, filled, opened
from tests.studio_database import OWNER, migrated, studio_database

from portraitist.kit.embedded_postgres import Server

__all__ = ["studio_database"]


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """Tracebacks as text: the library's own way for developers takes seconds for each."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])


@dataclass(frozen=True)
class FullTemplate:
    """A database to clone and its files to copy."""

    database: str
    home: Path
    members: tuple[FullMember, FullMember]


@pytest.fixture(scope="session")
def full_template(
    postgres: Server, make_template: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> FullTemplate:
    """Two members with everything, made once."""
    folder = tmp_path_factory.mktemp("full")
    made: list[tuple[FullMember, FullMember]] = []

    def fill(url: str) -> None:
        migrated(postgres, "full_members", url)
        made.append(filled(postgres, "full_members", folder))

    database = make_template("full_members", fill)
    return FullTemplate(database, folder / "home", made[0])


@pytest.fixture
def full_database(full_template: FullTemplate, make_database: Callable[..., str]) -> str:
    """The name of a fresh copy of the database with both members."""
    return make_database(template=full_template.database, owner=OWNER)


@pytest.fixture
async def full(
    full_template: FullTemplate, full_database: str, postgres: Server, tmp_path: Path
) -> AsyncIterator[Studio]:
    """A running web app with both members in it."""
    home = tmp_path / "home"
    shutil.copytree(full_template.home, home)
    async with opened(postgres, full_database, home, full_template.members) as studio:
        yield studio
