"""Transactions commit or roll back whole, a dead server has one name, and listeners come back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import psycopg
import pytest
from own_postgres import OwnPostgres

from portraitist.kit.database import Database, row_to, unavailable
from portraitist.kit.embedded_postgres import Server
from portraitist.kit.errors import DatabaseUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(postgres: Server, make_database: Callable[..., str]) -> AsyncIterator[Database]:
    async with Database(postgres.url(make_database()), max_size=3) as database:
        async with database.transaction() as tx:
            await tx.execute("create table things (x int primary key)")
        yield database


async def count(database: Database) -> int:
    async with database.transaction() as tx:
        row = await (await tx.execute("select count(*) as n from things")).fetchone()
        assert row
        return int(row["n"])


async def test_a_transaction_commits_at_its_end_and_not_before(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("insert into things values (1)")
        assert await count(database) == 0
    assert await count(database) == 1


async def test_an_error_rolls_everything_back_and_is_not_hidden(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await tx.execute("insert into things values (1)")
            raise ZeroDivisionError
    assert await count(database) == 0


async def test_a_savepoint_as_the_first_statement_does_not_commit(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            async with tx.transaction():
                await tx.execute("insert into things values (1)")
            raise ZeroDivisionError
    assert await count(database) == 0


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_is_free(database: Database) -> None:
    async def hang() -> None:
        async with database.transaction() as tx:
            await tx.execute("insert into things values (1)")
            await tx.execute("select pg_sleep(60)")

    tasks = [asyncio.create_task(hang()) for _ in range(3)]
    await asyncio.sleep(0.3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        assert await count(database) == 0


async def test_rows_become_frozen_dataclasses(database: Database) -> None:
    @dataclass(frozen=True)
    class Thing:
        x: int

    async with database.transaction() as tx, tx.cursor(row_factory=row_to(Thing)) as cursor:
        await cursor.execute("select 3 as x")
        assert await cursor.fetchone() == Thing(3)


async def test_a_deadlock_or_a_broken_rule_keeps_its_own_name(database: Database) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with database.transaction() as tx:
            await tx.execute("insert into things values (1), (1)")
    with pytest.raises(psycopg.errors.QueryCanceled):
        async with database.transaction() as tx:
            await tx.execute("set local statement_timeout = '20ms'")
            await tx.execute("select pg_sleep(5)")


async def test_a_full_disk_has_a_sentence_of_its_own() -> None:
    meaning = unavailable(psycopg.errors.DiskFull("could not extend file"))
    assert meaning is not None
    assert "full" in str(meaning)


async def test_a_server_that_is_not_there_is_said_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portraitist.kit.database.WAIT_TIMEOUT_S", 0.5)
    database = Database("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    with pytest.raises(DatabaseUnavailable, match="can't be reached"):
        async with asyncio.timeout(6):
            await database.open()


async def test_a_closed_pool_says_so(database: Database) -> None:
    await database.close()
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction():
            pass


async def test_listeners_get_payloads_and_a_hint_to_look_again_after_a_restart(
    own_postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.kit.database.WAIT_TIMEOUT_S", 2)
    server = await asyncio.to_thread(own_postgres.embedded.start)
    heard: list[str] = []

    async def listen(database: Database) -> None:
        async for payload in database.listen("news"):
            heard.append(payload)

    async def hear(expected: list[str]) -> None:
        async with asyncio.timeout(15):
            while heard != expected:
                await asyncio.sleep(0.02)

    async with Database(server.url("postgres")) as database:
        listener = asyncio.create_task(listen(database))
        await hear([""])
        async with database.transaction() as tx:
            await tx.execute("select pg_notify('news', 'one')")
        await hear(["", "one"])
        own_postgres.kill()
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction() as tx:  # its connection is dead, no other can be made
                await tx.execute("select 1")
        await asyncio.to_thread(own_postgres.embedded.start)
        await hear(["", "one", ""])
        async with database.transaction() as tx:
            await tx.execute("select pg_notify('news', 'two')")
        await hear(["", "one", "", "two"])
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
