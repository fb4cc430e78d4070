"""Claims, leases and ends of runs: a run is nobody's twice, is never lost, and ends once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from portraitist.engine import ids, lifecycle
from portraitist.engine.config import Settings
from portraitist.engine.domain import Kind, Run
from portraitist.engine.store import runs, webhooks
from portraitist.engine.store.runs import NewRun, Outcome
from portraitist.kit.database import Database

pytestmark = pytest.mark.anyio
LEASE = timedelta(seconds=30)
SHORT = timedelta(milliseconds=1)


@pytest.fixture
async def database(new_settings: Callable[..., Settings]) -> AsyncIterator[Database]:
    async with Database(new_settings().database_url.get_secret_value()) as opened:
        yield opened


async def add(database: Database, kind: Kind = "prediction", **changes: object) -> Run:
    new = NewRun(
        id=ids.run_id(),
        kind=kind,
        owner="me",
        name="mine",
        version_id="0" * 64,
        destination="me/mine" if kind == "training" else None,
        input={"prompt": "x"},
        notes=(),
        webhook="https://studio.example/hook",
        webhook_events=("start", "output", "logs", "completed"),
    )
    async with database.transaction() as tx:
        return await runs.insert(tx, NewRun(**{**vars(new), **changes}))  # type: ignore[arg-type]


async def claim(
    database: Database, name: str, lease: timedelta = LEASE, kind: Kind = "prediction"
) -> Run | None:
    async with database.transaction() as tx:
        return await lifecycle.claim(tx, kind, name, lease)


async def get(database: Database, run: Run) -> Run:
    async with database.transaction() as tx:
        found = await runs.get(tx, run.id)
    assert found is not None
    return found


async def events(database: Database, run: Run) -> list[str]:
    async with database.transaction() as tx:
        cursor = await tx.execute(
            "select event from webhook_messages where run_id = %s order by created_at, event", (run.id,)
        )
        return [row["event"] for row in await cursor.fetchall()]


async def test_many_workers_at_once_never_take_the_same_run(database: Database) -> None:
    added = {(await add(database)).id for _ in range(5)}
    taken = await asyncio.gather(*(claim(database, f"worker-{n}") for n in range(12)))
    assert sorted(run.id for run in taken if run is not None) == sorted(added)


async def test_trainings_and_predictions_are_claimed_apart_and_oldest_first(database: Database) -> None:
    training = await add(database, "training")
    first, _ = await add(database), await add(database)
    assert (await claim(database, "a", kind="training") or first).id == training.id
    assert (await claim(database, "b") or training).id == first.id


async def test_a_run_whose_lease_ran_out_is_taken_over_and_its_old_worker_changes_nothing(
    database: Database,
) -> None:
    run = await add(database)
    await claim(database, "dead", SHORT)
    await asyncio.sleep(0.02)
    again = await claim(database, "alive")
    assert again is not None
    assert (again.id, again.attempts) == (run.id, 2)
    async with database.transaction() as tx:
        assert not await lifecycle.finish(tx, run.id, "dead", Outcome("succeeded", output=["stale"]))
        assert not await lifecycle.log(tx, run.id, "dead", "stale\n")
        assert not await runs.renew(tx, run.id, "dead", LEASE)
        assert await lifecycle.finish(tx, run.id, "alive", Outcome("succeeded", output=["good"]))
    ended = await get(database, run)
    assert (ended.status, ended.output, ended.logs) == ("succeeded", ["good"], "")


async def test_a_run_that_loses_three_workers_fails_in_the_clouds_words(database: Database) -> None:
    run = await add(database)
    for n in range(3):
        assert await claim(database, f"dead-{n}", SHORT) is not None
        await asyncio.sleep(0.02)
    assert await claim(database, "fourth") is None
    async with database.transaction() as tx:
        await lifecycle.sweep(tx)
    ended = await get(database, run)
    assert (ended.status, ended.error) == ("failed", "Prediction interrupted; please retry (code: PA)")
    assert "completed" in await events(database, run)


async def test_a_worker_that_stops_in_good_order_costs_no_attempt(database: Database) -> None:
    run = await add(database)
    await claim(database, "leaving")
    async with database.transaction() as tx:
        await runs.release(tx, run.id, "leaving")
    again = await claim(database, "next")
    assert again is not None
    assert again.attempts == 1


async def test_canceling_takes_the_run_from_its_worker_and_tells_once(database: Database) -> None:
    run = await add(database)
    await claim(database, "busy")
    for _ in range(2):
        async with database.transaction() as tx:
            await lifecycle.cancel(tx, run.id)
    async with database.transaction() as tx:
        assert not await runs.renew(tx, run.id, "busy", LEASE)
        assert not await lifecycle.finish(tx, run.id, "busy", Outcome("succeeded"))
    assert (await get(database, run)).status == "canceled"
    assert await events(database, run) == ["start", "completed"]


async def test_a_deadline_before_the_start_aborts_and_after_it_cancels(database: Database) -> None:
    waiting = await add(database, cancel_after=timedelta(milliseconds=1))
    running = await add(database, "training", cancel_after=timedelta(hours=1))
    await claim(database, "busy", kind="training")
    async with database.transaction() as tx:
        await tx.execute("update runs set deadline = now() where id = %s", (running.id,))
    await asyncio.sleep(0.02)
    assert await claim(database, "late") is None, "a run past its deadline is not started"
    async with database.transaction() as tx:
        await lifecycle.sweep(tx)
    assert (await get(database, waiting)).status == "aborted"
    assert (await get(database, running)).status == "canceled"


async def test_only_the_events_that_were_asked_for_are_told(database: Database) -> None:
    run = await add(database, webhook_events=("completed",))
    await claim(database, "w")
    async with database.transaction() as tx:
        await lifecycle.log(tx, run.id, "w", "line\n")
        await lifecycle.finish(tx, run.id, "w", Outcome("succeeded", output=["x"]))
    assert await events(database, run) == ["completed"]


async def test_all_events_of_a_run_come_when_all_are_asked_for(database: Database) -> None:
    run = await add(database)
    await claim(database, "w")
    async with database.transaction() as tx:
        await lifecycle.log(tx, run.id, "w", "line\n")
    async with database.transaction() as tx:
        await lifecycle.finish(tx, run.id, "w", Outcome("succeeded", output=["x"]))
    assert sorted(await events(database, run)) == ["completed", "logs", "output", "start"]


async def test_a_message_taken_by_a_sender_that_died_comes_up_again(database: Database) -> None:
    run = await add(database, webhook_events=("completed",))
    async with database.transaction() as tx:
        await lifecycle.cancel(tx, run.id)
    async with database.transaction() as tx:
        first = await webhooks.take(tx, timedelta(milliseconds=20))
        assert await webhooks.take(tx, timedelta(seconds=1)) is None
    await asyncio.sleep(0.05)
    async with database.transaction() as tx:
        second = await webhooks.take(tx, timedelta(seconds=1))
    assert first is not None
    assert second is not None
    assert (second.id, second.attempts) == (first.id, 2)
