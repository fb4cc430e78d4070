"""The store in memory and the real database do the same: one suite, run on both.

What the product asks of its repositories: rows seen by their member alone, guarded updates, the constraints that
decide races, leases, admission. A difference found by a real kill belongs in here.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from psycopg import errors as pg
from pydantic import SecretStr

from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.studio.accounts.domain import Member
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import repository as generations
from portraitist.studio.generation.domain import Generation
from portraitist.studio.generation.domain import Status as Drawing
from portraitist.studio.images import repository as images
from portraitist.studio.images.domain import Image
from portraitist.studio.provider import accounts
from portraitist.studio.training import late_zips, looking, service
from portraitist.studio.training import repository as trainings
from portraitist.studio.training.admission import Room
from portraitist.studio.training.domain import PackedPhotos, Status, Timing, Training
from portraitist.studio.training.looking import PutOff
from portraitist.studio.training.repository import ModelVersion
from tests.simulation.installing import installed
from tests.simulation.scheduler import Scheduler, VirtualClock
from tests.simulation.store import MemoryStore
from tests.studio_database import APP_PASSWORD, studio_database

__all__ = ["studio_database"]
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=10)
TIMING = Timing(timedelta(seconds=5), timedelta(seconds=30), timedelta(seconds=60))
ANNA, BOB = "anna00000000", "bob000000000"
Story = Callable[[Any], Coroutine[Any, Any, None]]


@pytest.fixture(params=["memory", "postgresql"])
def tell(request: pytest.FixtureRequest) -> Iterator[Callable[[Story], None]]:
    """Runs a story with a database of either kind that knows two members and an account."""
    if request.param == "memory":
        with installed():
            yield _told_in_memory
    else:
        server: Server = request.getfixturevalue("postgres")
        name: str = request.getfixturevalue("studio_database")
        yield lambda story: asyncio.run(_told_in_postgresql(server, name, story))


def _told_in_memory(story: Story) -> None:
    scheduler = Scheduler(random.Random(1), VirtualClock())
    store = MemoryStore(scheduler)
    for user_id in (ANNA, BOB):
        store.tables.members[user_id] = Member(user_id, user_id, None, "member", "person", NOW)
    ended: list[bool] = []

    async def whole() -> None:
        await story(store)
        ended.append(True)

    scheduler.spawn(whole(), "test", "story")
    scheduler.run(lambda: False, end=NOW + timedelta(days=9), most_steps=10_000)
    assert (scheduler.failures, ended) == ([], [True])


async def _told_in_postgresql(server: Server, name: str, story: Story) -> None:
    async with Database(server.url(name, "app", APP_PASSWORD)) as pool:
        db = StudioDatabase(pool)
        async with db.nobody() as tx:
            account = accounts.Account("engine", "http://127.0.0.1", "studio", SecretStr("t"), None)
            await accounts.register(tx, account, NOW)
            for user_id in (ANNA, BOB):
                await tx.run("select enrol_local_member(%s, %s, %s, %s)", (user_id, user_id, "person", NOW))
        await story(db)


def queued(user_id: str, at: datetime = NOW) -> Training:
    return service._queued(user_id, "studio", "engine", at)


def drawing(user_id: str, version: ModelVersion, seed: int = 1) -> Generation:
    return Generation(
        user_id=user_id,
        id=uuid4(),
        status=Drawing.QUEUED,
        model_version_id=version.id,
        account_id="engine",
        words="in a garden",
        prompt=f"user{user_id} person in a garden",
        seed=seed,
        requested={},
        attempt=0,
        revision=0,
        next_check_at=NOW,
        admitted_at=None,
        webhook_token=uuid4().hex,
        submitted_at=None,
        provider_prediction_id=None,
        raw_output=None,
        unknown_words=[],
        cancel_requested_at=None,
        error_code=None,
        error=None,
        created_at=NOW,
        finished_at=None,
    )


@asynccontextmanager
async def refused(db: Any, user_id: str, error: type[Exception]) -> AsyncIterator[Any]:
    with pytest.raises(error):
        async with db.member(user_id) as tx:
            yield tx


async def begun(db: Any, user_id: str, key: str | None = None) -> Training:
    training = queued(user_id)
    async with db.member(user_id) as tx:
        await trainings.insert(tx, training, [], key)
    return training


async def read(db: Any, training: Training) -> Training:
    async with db.member(training.user_id) as tx:
        found = await trainings.get(tx, training.id)
    assert found is not None
    return found


async def saved(db: Any, after: Training, lease: datetime | None = None) -> bool:
    async with db.member(after.user_id) as tx:
        return await trainings.save(tx, after, lease) is not None


async def promoted(db: Any, user_id: str) -> ModelVersion:
    training = await begun(db, user_id)
    ended = replace(await read(db, training), status=Status.FAILED)
    assert await saved(db, ended)
    model = f"studio/{user_id}-selfie-lora"
    version = ModelVersion(user_id, uuid4(), training.id, "engine", model, "ab" * 32, {}, NOW, None)
    async with db.member(user_id) as tx:
        await trainings.add_version(tx, version, b"x" * 32)
        await trainings.activate(tx, version, training.trigger_word, NOW)
    return version


def test_a_row_comes_back_as_it_was_saved(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        first = await read(db, await begun(db, ANNA))
        packed = PackedPhotos("token", "key", "https://x/zip", "file")
        sending = first.submitting(packed, NOW, TIMING)
        assert await saved(db, sending)
        again = await read(db, first)
        assert again == replace(sending, revision=first.revision + 1)

    tell(story)


def test_of_two_decisions_on_one_revision_the_first_counts(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        row = await read(db, await begun(db, ANNA))
        assert await saved(db, row.canceled(NOW))
        assert not await saved(db, row.failed("late", "too late", NOW))
        assert (await read(db, row)).status is Status.CANCELED

    tell(story)


def test_a_wish_to_cancel_is_not_overwritten_by_a_decision(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        row = await read(db, await begun(db, ANNA))
        async with db.member(ANNA) as tx:
            await trainings.request_cancel(tx, row.id, LATER, LATER)
        assert await saved(db, row.wait(NOW, timedelta(0)))
        assert (await read(db, row)).cancel_requested_at == LATER

    tell(story)


def test_members_see_and_change_their_own_rows_only(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        row = await read(db, await begun(db, ANNA))
        async with db.member(BOB) as tx:
            assert await trainings.get(tx, row.id) is None
            assert await trainings.in_hand(tx) is None
            assert not await trainings.save(tx, row.canceled(NOW), None)

    tell(story)


def test_a_second_active_training_is_refused_and_a_parked_one_is_in_nobodys_way(
    tell: Callable[[Story], None],
) -> None:
    async def story(db: Any) -> None:
        first = await begun(db, ANNA)
        async with refused(db, ANNA, pg.UniqueViolation) as tx:
            await trainings.insert(tx, queued(ANNA), [], None)
        parked = replace(
            await read(db, first), status=Status.EXTRACTION_FAILED, provider_training_id="p", raw_output=None
        )
        assert await saved(db, parked)
        await begun(db, ANNA)
        await begun(db, BOB)

    tell(story)


def test_a_key_is_used_once_by_its_member(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        first = await begun(db, ANNA, "click")
        assert await saved(db, (await read(db, first)).canceled(NOW))
        async with refused(db, ANNA, pg.UniqueViolation) as tx:
            await trainings.insert(tx, queued(ANNA), [], "click")
        await begun(db, BOB, "click")
        async with db.member(ANNA) as tx:
            found = await trainings.by_key(tx, "click")
        assert found is not None and found.id == first.id

    tell(story)


def test_a_transaction_that_breaks_leaves_nothing(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        row = queued(ANNA)
        async with refused(db, ANNA, ZeroDivisionError) as tx:
            await trainings.insert(tx, row, [], None)
            raise ZeroDivisionError
        async with db.member(ANNA) as tx:
            with pytest.raises(pg.UniqueViolation):
                async with tx.conn.transaction():
                    await trainings.insert(tx, row, [], None)
                    await trainings.insert(tx, queued(ANNA), [], None)
            assert await trainings.in_hand(tx) is None

    tell(story)


def test_due_rows_are_leased_once_and_waiting_ones_admitted_fairly(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        mine, theirs = await begun(db, ANNA), await begun(db, BOB)
        at = NOW + timedelta(minutes=1)
        async with db.system() as tx:
            assert await trainings.claim_due(tx, at, LATER, 10) == []  # not admitted yet
            first = await trainings.admit(tx, "engine", Room(1), now=at, lease_until=at)
            assert len(first) == 1
            assert await trainings.admit(tx, "engine", Room(1), now=at, lease_until=at) == []
            second = await trainings.admit(tx, "engine", Room(8), now=at, lease_until=at)
            assert {row.id for row in (*first, *second)} == {mine.id, theirs.id}
            due = await trainings.claim_due(tx, at, at + timedelta(seconds=9), 10)
            assert {row.id for row in due} == {mine.id, theirs.id}
            assert await trainings.claim_due(tx, at, at + timedelta(seconds=9), 10) == []

    tell(story)


def test_only_a_version_of_ones_own_becomes_active(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        version = await promoted(db, ANNA)
        async with db.member(ANNA) as tx:
            active = await trainings.active_version(tx)
            assert active is not None and active.id == version.id
            assert await trainings.known_versions(tx, uuid4()) == {"ab" * 32}
        async with refused(db, BOB, pg.ForeignKeyViolation) as tx:
            await trainings.activate(tx, replace(version, user_id=BOB), f"user{BOB}", NOW)

    tell(story)


def test_a_later_training_bounds_what_an_earlier_one_may_take_until_its_version_is_known(
    tell: Callable[[Story], None],
) -> None:
    async def story(db: Any) -> None:
        first = await begun(db, ANNA)
        assert await saved(db, replace(await read(db, first), status=Status.EXTRACTION_FAILED))
        later = queued(ANNA, NOW + timedelta(minutes=3))
        async with db.member(ANNA) as tx:
            assert await trainings.next_without_version(tx, first.id) is None
            await trainings.insert(tx, later, [], None)
            assert await trainings.next_without_version(tx, first.id) == later.created_at
            assert await trainings.next_without_version(tx, later.id) is None
        async with db.member(BOB) as tx:
            assert await trainings.next_without_version(tx, first.id) is None
        assert await saved(db, replace(await read(db, later), candidate_version="cd" * 32))
        async with db.member(ANNA) as tx:
            assert await trainings.next_without_version(tx, first.id) is None
            assert await trainings.known_versions(tx, first.id) == {"cd" * 32}

    tell(story)


def test_a_prompt_and_a_seed_are_drawn_once_and_with_ones_own_version(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        version = await promoted(db, ANNA)
        async with db.member(ANNA) as tx:
            assert await generations.insert(tx, drawing(ANNA, version), None)
            assert not await generations.insert(tx, drawing(ANNA, version), None)
        async with refused(db, BOB, pg.ForeignKeyViolation) as tx:
            await generations.insert(tx, drawing(BOB, version), None)

    tell(story)


async def pictured(db: Any, *keys: str, index: Callable[[int], int] = lambda number: number) -> Generation:
    row = drawing(ANNA, await promoted(db, ANNA))
    async with db.member(ANNA) as tx:
        await generations.insert(tx, row, None)
        for number, key in enumerate(keys):
            about = (key, b"s" * 32, 3, 4, 5, False, False, "words", None, NOW)
            await images.insert(tx, Image(ANNA, uuid4(), row.id, index(number), *about))
    return row


def test_a_picture_is_entered_once(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        row = await pictured(db, "k0", "k1", index=lambda number: 0)
        async with db.member(ANNA) as tx:
            assert [image.object_key for image in await images.of_generations(tx, [row.id])] == ["k0"]

    tell(story)


def test_a_deleted_picture_is_marked_then_forgotten_by_its_member_alone(
    tell: Callable[[Story], None],
) -> None:
    async def story(db: Any) -> None:
        row = await pictured(db, "k0", "k1")
        async with db.member(ANNA) as tx:
            first, second = await images.of_generations(tx, [row.id])
            assert [image.id for image in await images.delete(tx, [first.id], NOW)] == [first.id]
            (again,) = await images.delete(tx, [first.id], LATER)
            assert again.deleted_at == NOW
        async with db.system() as tx:
            assert await images.deleted_before(tx, NOW - timedelta(seconds=1), 9) == []
            assert [due.id for due in await images.deleted_before(tx, NOW, 9)] == [first.id]
        async with db.member(BOB) as tx:
            assert await images.begin_purge(tx, [first.id], LATER, LATER) == []
        async with db.member(ANNA) as tx:
            await images.forget(tx, first.id)  # not marked: it stays
            marked = await images.begin_purge(tx, [first.id, second.id], LATER, LATER)
            assert [image.id for image in marked] == [first.id]
            assert await images.delete(tx, [first.id], LATER) == []  # its removal has begun
            await images.forget(tx, first.id)
            assert [image.id for image in await images.of_generations(tx, [row.id])] == [second.id]

    tell(story)


def test_late_zips_are_looked_for_once_after_a_run(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        row = await read(db, await begun(db, ANNA))
        async with db.system() as tx:
            assert await late_zips._ended_before(tx, LATER, 9) == []
        assert await saved(db, row.canceled(NOW))
        async with db.system() as tx:
            assert await late_zips._ended_before(tx, NOW - timedelta(seconds=1), 9) == []
            assert [due.id for due in await late_zips._ended_before(tx, NOW, 9)] == [row.id]
        for member, left in ((BOB, [row.id]), (ANNA, [])):
            async with db.member(member) as tx:
                await late_zips._cleared(tx, row.id, LATER)
            async with db.system() as tx:
                assert [due.id for due in await late_zips._ended_before(tx, NOW, 9)] == left

    tell(story)


def test_a_start_that_never_began_is_still_known_by_its_token(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        row = await read(db, await begun(db, ANNA))
        sent = row.submitting(PackedPhotos("t", "k", "https://x", None), NOW, TIMING)
        assert await saved(db, sent.not_sent(NOW, timedelta(0), "provider_rate_limited", "slow down"))
        async with db.member(ANNA) as tx:
            (start,) = await trainings.starts(tx)
            assert await trainings.started_since(tx, NOW - timedelta(days=1)) == [NOW]  # it waits to be sent
        assert (start.submit_token, start.past_tokens) == (None, ["t"])

    tell(story)


def test_what_a_list_saw_later_is_not_taken_back_by_a_look_that_began_before(
    tell: Callable[[Story], None],
) -> None:
    async def story(db: Any) -> None:
        row = await read(db, await begun(db, ANNA))
        sent = row.submitting(PackedPhotos("t", "k", "https://x", None), NOW, TIMING)
        assert await saved(db, sent.submitted("run", NOW, TIMING))
        taken = await read(db, row)
        seen = [PutOff(taken.id, taken.revision, LATER, 40, 100, "training")]
        async with db.system() as tx:
            await looking.put_off(tx, "trainings", seen)
            await looking.put_off(tx, "trainings", [replace(seen[0], step=30)])
        assert await saved(db, replace(taken, error_code="provider_unavailable", error="away"))
        now = await read(db, taken)
        assert (now.step, now.total_steps, now.error_code) == (40, 100, "provider_unavailable")

    tell(story)


def test_a_twin_is_recorded_once(tell: Callable[[Story], None]) -> None:
    async def story(db: Any) -> None:
        row = await read(db, await begun(db, ANNA))
        assert await saved(db, row.submitting(PackedPhotos("t", "k", "https://x", None), NOW, TIMING))
        async with db.member(ANNA) as tx:
            for _ in range(2):
                await trainings.add_twin(tx, row.id, {"provider_id": "p", "reason": "second_start"})
            (start,) = await trainings.starts(tx)
        assert (start.twins, start.submit_token) == (["p"], "t")

    tell(story)
