"""Which rows a provider's list is read for, and what becomes of them: the same in memory and in PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from portraitist.studio.generation import domain, repository
from portraitist.studio.generation.domain import Generation, Status
from portraitist.studio.training import looking
from portraitist.studio.training.looking import Crowd, PutOff
from tests.simulation.test_store_contract import (
    ANNA,
    BOB,
    LATER,
    NOW,
    Story,
    drawing,
    promoted,
    studio_database,
    tell,
)

__all__ = ["studio_database", "tell"]
TABLE = "generation_trackers"
SOON = NOW + timedelta(seconds=30)


async def in_flight(db: Any, user_id: str, seed: int = 1, **changes: Any) -> Generation:
    """A generation of this member that the provider has had for a minute, and that is due."""
    row = drawing(user_id, await promoted(db, user_id), seed)
    sent = {"submitted_at": NOW - timedelta(minutes=1), "provider_prediction_id": f"run {user_id} {seed}"}
    async with db.member(user_id) as tx:
        assert await repository.insert(tx, row, None)
        saved = await repository.save(
            tx, replace(row, status=Status.RUNNING, next_check_at=NOW, **(sent | changes)), None
        )
    assert saved is not None
    return saved


async def seen(db: Any, row: Generation) -> Generation:
    async with db.member(row.user_id) as tx:
        found = await repository.get(tx, row.id)
    assert found is not None
    return found


def test_a_list_is_read_once_in_the_fleet_and_its_rows_are_left_to_it(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        mine, theirs = await in_flight(db, ANNA), await in_flight(db, BOB)
        async with db.system() as tx:
            assert await looking.crowded(tx, TABLE, NOW, 3) == []
            assert await looking.crowded(tx, TABLE, NOW, 2) == [Crowd("engine")]
            assert await looking.take(tx, "generation", "engine", NOW, LATER)
            assert not await looking.take(tx, "generation", "engine", NOW, LATER)
            assert await looking.crowded(tx, TABLE, NOW, 1) == []
            assert await repository.claim_due(tx, NOW, LATER, 10) == []
        async with db.system() as tx:  # the reader died: one by one, after its lease
            due = await repository.claim_due(tx, LATER, SOON, 10)
            assert {row.id for row in due} == {mine.id, theirs.id}
        async with db.system() as tx:
            await looking.hold(tx, "generation", "engine", NOW)
            assert await looking.take(tx, "generation", "engine", NOW, LATER)

    tell(story)


def test_a_sweep_is_told_what_there_is_to_do(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        version = await promoted(db, ANNA)
        async with db.system() as tx:
            assert await looking.agenda(tx, NOW) == looking.Agenda([], due=False)
        async with db.member(ANNA) as tx:
            assert await repository.insert(tx, replace(drawing(ANNA, version, 7), admitted_at=None), None)
        async with db.system() as tx:  # who waits for a turn is not due
            assert await looking.agenda(tx, NOW) == looking.Agenda(["generation"], due=False)
        await in_flight(db, BOB)
        async with db.system() as tx:
            assert (await looking.agenda(tx, NOW)).due
            assert await repository.claim_due(tx, NOW, LATER, 10)
            assert not (await looking.agenda(tx, NOW)).due

    tell(story)


def test_what_has_an_error_a_wish_or_a_deadline_is_not_left_to_a_list(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        failing = await in_flight(db, ANNA, error_code="provider_unavailable", error="away")
        old = await in_flight(db, BOB, submitted_at=NOW - domain.Timing.run_deadline)
        async with db.system() as tx:
            assert await looking.take(tx, "generation", "engine", NOW, LATER)
            assert await looking.standing(tx, TABLE, "engine", NOW) == []
            due = await repository.claim_due(tx, NOW, LATER, 10)
        assert {row.id for row in due} == {failing.id, old.id}

    tell(story)


def test_a_look_is_put_off_only_where_the_row_is_as_it_was_compared(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        as_it_was, woken = await in_flight(db, ANNA), await in_flight(db, BOB)
        async with db.system() as tx:
            rows = await looking.standing(tx, TABLE, "engine", NOW)
            assert {row.provider_id for row in rows} == {f"run {ANNA} 1", f"run {BOB} 1"}
            assert await looking.standing(tx, TABLE, "another", NOW) == []
        async with db.member(BOB) as tx:
            assert await repository.wake(tx, woken.id, NOW, LATER)
        async with db.system() as tx:
            await looking.put_off(tx, TABLE, [PutOff(row.id, row.revision, SOON) for row in rows])
        assert (await seen(db, as_it_was)).next_check_at == SOON
        assert (await seen(db, woken)).next_check_at == NOW

    tell(story)


def test_a_row_is_handed_to_one_job_at_a_time(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        row = await in_flight(db, ANNA)
        async with db.system() as tx:
            assert [due.id for due in await looking.hand_over(tx, TABLE, [row.id], NOW, LATER)] == [row.id]
            assert await looking.hand_over(tx, TABLE, [row.id], NOW, LATER) == []
            assert await repository.claim_due(tx, NOW, LATER, 10) == []

    tell(story)


def test_a_start_that_is_woken_before_its_answer_is_looked_at_when_that_is_recorded(
    tell: Callable[[Story], None],
) -> None:
    async def story(db: Any) -> None:
        for seed, woken in ((1, False), (2, True)):
            row = drawing(ANNA, await promoted(db, ANNA), seed)
            async with db.member(ANNA) as tx:
                assert await repository.insert(tx, row, None)
                sent = replace(row, status=Status.SUBMITTING, submitted_at=NOW, next_check_at=SOON)
                saved = await repository.save(tx, sent, None)
            async with db.member(ANNA) as tx:
                assert not (woken and await repository.wake(tx, row.id, NOW, LATER))  # no job: one is at it
            assert saved is not None
            known = replace(saved, status=Status.SUBMITTED, provider_prediction_id=f"run {seed}")
            async with db.member(ANNA) as tx:
                after = await repository.save(tx, known, None)
            assert after is not None and after.next_check_at == (NOW if woken else SOON)
            assert (await seen(db, row)).next_check_at == after.next_check_at

    tell(story)


def test_the_deadlines_of_lists_are_those_of_the_runs() -> None:
    from portraitist.studio.training.domain import Timing

    words = looking._WORDS
    assert words["trainings"]["listed_for"] == f"{Timing.start_deadline // timedelta(hours=1)} hours"
    minutes = domain.Timing.run_deadline // timedelta(minutes=1)
    assert words[TABLE]["listed_for"] == f"{minutes} minutes"
