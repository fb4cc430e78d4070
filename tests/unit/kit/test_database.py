"""Transactions commit or roll back whole, a dead server has one name, and listeners come back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psycopg
import pytest
from anyio import create_task_group
from own_postgres import OwnPostgres
from psycopg import sql

from portraitist.kit.database import Database, row_to, unavailable
from portraitist.kit.embedded_postgres import Server
from portraitist.kit.errors import DatabaseUnavailable

pytestmark = pytest.mark.anyio
WAITING = """select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'advisory'"""


@pytest.fixture
def url(postgres: Server, make_database: Callable[..., str]) -> str:
    return postgres.url(make_database())


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url, max_size=3) as database:
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


async def backends(database: Database) -> set[int]:
    """The server's processes behind the pool's connections, all taken at once."""
    async with AsyncExitStack() as held:
        pids = set()
        for _ in range(3):
            conn = await held.enter_async_context(database.transaction())
            row = await (await conn.execute("select pg_backend_pid() as pid")).fetchone()
            assert row
            pids.add(int(row["pid"]))
        return pids


@pytest.mark.parametrize("turns", range(12))
async def test_who_is_cancelled_as_a_connection_comes_free_ends(url: str, turns: int) -> None:
    """Python 3.11's `wait_for`, with which the pool waits, loses the cancellation at some of these turns."""

    async def ask(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.execute("select 1")

    async def hold(database: Database, until: asyncio.Event) -> None:
        async with database.transaction():
            await until.wait()

    async with Database(url, max_size=1) as database:
        free = asyncio.Event()
        holding = asyncio.create_task(hold(database, free))
        await asyncio.sleep(0.02)
        asking = asyncio.create_task(ask(database))
        await asyncio.sleep(0.02)
        free.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        in_time = asking.cancel()
        await asyncio.wait({holding, asking})
        assert asking.cancelled() or not in_time
        async with asyncio.timeout(2):
            await ask(database)  # the connection is nobody's any more


async def test_a_reader_who_leaves_in_the_middle_of_a_statement_costs_no_connection(
    url: str, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def asks(x: int) -> None:
        async with database.transaction() as tx:
            await tx.execute("insert into things values (%s)", (x,))
            await tx.execute("select pg_advisory_xact_lock_shared(7)")

    before = await backends(database)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("select pg_advisory_lock(7)")
        async with create_task_group() as leaving:  # as a streamed answer is, when its reader has gone
            for x in range(3):
                leaving.start_soon(asks, x)
            while other.execute(WAITING).fetchall() != [(3,)]:
                await asyncio.sleep(0.01)
            leaving.cancel_scope.cancel()
            other.execute("select pg_advisory_unlock(7)")
    assert await backends(database) == before
    assert await count(database) == 0
    assert "closing connection" not in caplog.text


async def test_rows_become_frozen_dataclasses(database: Database) -> None:
    @dataclass(frozen=True)
    class Thing:
        x: int

    async with database.transaction() as tx, tx.cursor(row_factory=row_to(Thing)) as cursor:
        await cursor.execute("select 3 as x")
        assert await cursor.fetchone() == Thing(3)


async def test_rows_keep_defaults_and_checks_and_refuse_what_is_no_field(database: Database) -> None:
    @dataclass(frozen=True)
    class WithDefault:
        x: int
        y: int = 5

    @dataclass(frozen=True)
    class Checked:
        x: int

        def __post_init__(self) -> None:
            if self.x > 2:
                raise ValueError("too much")

    async with database.transaction() as tx:
        found = await tx.cursor(row_factory=row_to(WithDefault)).execute("select 3 as x")
        assert await found.fetchone() == WithDefault(3, 5)
        with pytest.raises(ValueError, match="too much"):
            await (await tx.cursor(row_factory=row_to(Checked)).execute("select 3 as x")).fetchone()
        with pytest.raises(TypeError, match="z"):
            await (
                await tx.cursor(row_factory=row_to(WithDefault)).execute("select 3 as x, 4 as z")
            ).fetchone()


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


async def test_connections_that_died_unnoticed_cost_no_failed_transaction(
    postgres: Server, make_database: Callable[..., str]
) -> None:
    name = make_database()
    async with Database(postgres.url(name), min_size=3, max_size=3) as database:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
            )
        async with database.transaction() as tx:
            await tx.execute("select 1")


async def test_what_opens_a_transaction_is_part_of_it(database: Database) -> None:
    opening = sql.SQL("select set_config('app.user_id', {}, true)").format("a'; drop table things; --")
    async with database.transaction(opening) as tx:
        row = await (await tx.execute("select current_setting('app.user_id') as who")).fetchone()
        assert row == {"who": "a'; drop table things; --"}
    async with database.transaction() as tx:
        row = await (await tx.execute("select current_setting('app.user_id', true) as who")).fetchone()
        assert row == {"who": ""}


async def test_what_is_left_for_later_is_done_with_the_commit_and_its_error_undoes_everything(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        tx.later("insert into things values (%s)", (1,))
        tx.later("insert into things values (%(x)s)", {"x": 2})
        assert (await (await tx.execute("select count(*) as n from things")).fetchone()) == {"n": 0}
    assert await count(database) == 2
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with database.transaction() as tx:
            await tx.execute("insert into things values (3)")
            tx.later("insert into things values (1)")
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            tx.later("insert into things values (4)")
            raise ZeroDivisionError
    assert await count(database) == 2


async def test_a_transaction_of_one_statement_has_one_and_is_whose_it_was_opened_for(
    database: Database,
) -> None:
    opening = sql.SQL("select set_config('app.user_id', 'anna', true)")
    async with database.transaction(opening, once=True) as tx:
        row = await (await tx.execute("select current_setting('app.user_id') as who")).fetchone()
        assert row == {"who": "anna"}
        with pytest.raises(RuntimeError, match="only one"):
            await tx.execute("select 1")
        with pytest.raises(RuntimeError, match="has ended with it"):
            tx.later("select 1")
    async with database.transaction() as tx:  # the pool's next user is nobody
        row = await (await tx.execute("select current_setting('app.user_id', true) as who")).fetchone()
        assert row == {"who": ""}


async def test_what_is_said_before_the_one_statement_travels_with_it_all_or_nothing(
    database: Database,
) -> None:
    async with database.transaction(sql.SQL("select 'opening'"), once=True) as tx:
        tx.later("insert into things values (%s)", (1,))
        tx.later("select 'behind'")
        row = await (await tx.execute("insert into things values (2) returning x")).fetchone()
        assert row == {"x": 2}
    assert await count(database) == 2
    async with database.transaction(once=True) as tx:  # nothing else was asked after all
        tx.later("insert into things values (3)")
        tx.later("insert into things values (4)")
    assert await count(database) == 4
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with database.transaction(once=True) as tx:
            tx.later("insert into things values (1)")
            await tx.execute("insert into things values (5)")
    assert await count(database) == 4


async def test_many_at_once_are_part_of_the_transaction(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx, tx.cursor() as cursor:
            await cursor.executemany("insert into things values (%s)", [(1,), (2,)])
            raise ZeroDivisionError
    assert await count(database) == 0
