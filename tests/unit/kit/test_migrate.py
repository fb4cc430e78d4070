"""Migrations are applied in order, once and whole; history that changed is refused."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from portraitist.kit.embedded_postgres import Server
from portraitist.kit.errors import DatabaseUnavailable
from portraitist.kit.migrate import MigrationError, migrate

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(postgres: Server, make_database: Callable[..., str]) -> str:
    return postgres.url(make_database())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text(
        "create table first (x int); insert into first values (100 % 7);"
    )
    (tmp_path / "0002_second.sql").write_text("create table second (x int);")
    (tmp_path / "README.md").write_text("not a migration")
    return tmp_path


def one(url: str, question: str) -> object:
    with psycopg.connect(url) as conn:
        row = conn.execute(question).fetchone()  # type: ignore[call-overload]
        return row and row[0]


async def test_files_are_applied_in_order_and_once(url: str, folder: Path) -> None:
    assert await migrate(url, folder) == ["0001_first.sql", "0002_second.sql"]
    assert await migrate(url, folder) == []
    (folder / "0003_third.sql").write_text("insert into second values (1)")
    assert await migrate(url, folder) == ["0003_third.sql"]
    assert one(url, "select x from first") == 2
    assert one(url, "select count(*) from second") == 1


async def test_many_migrators_at_once_apply_each_file_once(url: str, folder: Path) -> None:
    applied = await asyncio.gather(*(migrate(url, folder) for _ in range(4)))
    assert sorted(name for names in applied for name in names) == ["0001_first.sql", "0002_second.sql"]


async def test_a_file_that_fails_leaves_nothing_of_itself_and_all_before_it(url: str, folder: Path) -> None:
    (folder / "0002_second.sql").write_text("create table second (x int); select 1 / 0;")
    with pytest.raises(MigrationError, match=r"0002_second.sql failed and was rolled back: division by zero"):
        await migrate(url, folder)
    assert one(url, "select to_regclass('second')") is None
    assert one(url, "select to_regclass('first') is not null") is True
    (folder / "0002_second.sql").write_text("create table second (x int);")
    assert await migrate(url, folder) == ["0002_second.sql"]


async def test_an_applied_file_that_changed_is_refused(url: str, folder: Path) -> None:
    await migrate(url, folder)
    (folder / "0001_first.sql").write_text("create table first (x bigint);")
    with pytest.raises(MigrationError, match=r"0001_first.sql was changed"):
        await migrate(url, folder)


async def test_a_database_newer_than_the_code_is_refused(url: str, folder: Path) -> None:
    await migrate(url, folder)
    (folder / "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match="newer than this program"):
        await migrate(url, folder)


async def test_a_file_put_in_before_applied_ones_is_refused(url: str, folder: Path) -> None:
    (folder / "0001_first.sql").rename(folder / "0000_kept.sql")
    await migrate(url, folder)
    (folder / "0001_late.sql").write_text("select 1")
    with pytest.raises(MigrationError, match="give it a new number"):
        await migrate(url, folder)


@pytest.mark.parametrize("name", ["1_short.sql", "0003_Upper.sql", "0002_same_number.sql"])
async def test_names_that_leave_the_order_open_are_refused(url: str, folder: Path, name: str) -> None:
    (folder / name).write_text("select 1")
    with pytest.raises(MigrationError):
        await migrate(url, folder)
    assert one(url, "select to_regclass('first')") is None


async def test_variables_are_filled_in_and_must_be_plain_names(url: str, folder: Path) -> None:
    (folder / "0003_grant.sql").write_text("create table {{name}} (x int)")
    with pytest.raises(MigrationError, match="needs a value"):
        await migrate(url, folder)
    with pytest.raises(MigrationError, match="can't be used"):
        await migrate(url, folder, variables={"name": "x; drop table first"})
    assert await migrate(url, folder, variables={"name": "third"}) == ["0003_grant.sql"]
    assert await migrate(url, folder, variables={"name": "other"}) == []


async def test_a_migrator_that_hangs_is_told_to_the_next(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.kit.migrate.LOCK_WAIT", "100ms")
    with psycopg.connect(url) as conn:
        conn.execute("select pg_advisory_lock(hashtextextended('migrate:schema_migrations', 0))")
        with pytest.raises(MigrationError, match="Another migration"):
            await migrate(url, folder)


async def test_no_database_is_no_migration_error(folder: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        await migrate("postgresql://nobody@127.0.0.1:1/none", folder)
