"""Whose turn it is: a thousand members, one with five thousand waiting, caps that hold to the last one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import pytest
from tests.fakes.replicate_cloud import problem
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.conftest import Member

from portraitist.kit.embedded_postgres import Server
from portraitist.studio.training import admission

pytestmark = pytest.mark.anyio


@pytest.fixture
async def small(postgres: Server, studio_database: str, tmp_path: Path) -> AsyncIterator[ByHand]:
    """A studio with eight places for generations, two for trainings, and budgets."""
    caps = {
        "generations_in_flight": 8,
        "trainings_in_flight": 2,
        "trainings_per_member_per_day": 3,
        "trainings_per_day": 5,
    }
    async with studio_by_hand(postgres, studio_database, tmp_path, **caps) as running:
        yield running


def wait_in_line(small: ByHand, member: Member, count: int, minutes_ago: int = 1) -> None:
    """So many generations of this member, asked for some minutes ago and admitted by nobody yet."""
    small.run(
        """insert into generation_trackers (user_id, id, status, model_version_id, account_id, words, prompt, seed,
               requested, next_check_at, created_at)
           select user_id, gen_random_uuid(), 'queued', id, account_id, 'x', 'user' || user_id || ' ' || n, n, '{}', %s,
               %s::timestamptz + n * interval '1 microsecond'
           from model_versions, generate_series(1, %s) as n where user_id = %s""",
        small.clock.now(),
        small.clock.now() - timedelta(minutes=minutes_ago),
        count,
        member.id,
    )


def admitted(small: ByHand, member: Member) -> int:
    [(count,)] = small.rows(
        "select count(*) from generation_trackers where user_id = %s and admitted_at is not null", member.id
    )
    return int(count)


async def with_model(small: ByHand, handle: str) -> Member:
    """A member whose model was entered by hand."""
    member = await small.member(handle, photos=0)
    small.run(
        """with t as (
               insert into trainings (user_id, id, status, account_id, trigger_word, destination, trainer, requested,
                   next_check_at, provider_training_id, candidate_version, created_at)
               values (%(u)s, gen_random_uuid(), 'completed', 'engine', 'user' || %(u)s,
                   'studio/' || %(u)s || '-selfie-lora', 't', '{}', now(), %(u)s, repeat('a', 64), now())
               returning user_id, id),
           v as (
               insert into model_versions (user_id, id, training_id, account_id, replicate_model_id,
                   replicate_version_id, input_schema, verified_image_sha256, created_at)
               select user_id, gen_random_uuid(), id, 'engine', 'studio/' || %(u)s || '-selfie-lora',
                   repeat('a', 64), '{}', sha256('x'), now() from t returning *)
           insert into user_models (user_id, trigger_word, active_version_id, replicate_model_id,
               replicate_version_id, updated_at)
           select user_id, 'user' || user_id, id, replicate_model_id, replicate_version_id, now() from v""",
        {"u": member.id},
    )
    return member


async def test_a_member_with_thousands_waiting_never_delays_anothers_first(small: ByHand) -> None:
    hog, anna = await with_model(small, "name:hog"), await with_model(small, "name:anna")
    wait_in_line(small, hog, 5000)
    await small.parts.sweeper.admit("generation")
    assert admitted(small, hog) == 2  # a quarter of the places, however empty the house

    await anna.post("/api/v1/generations", {"prompt": "in a garden"})
    began = perf_counter()
    await small.parts.sweeper.admit("generation")
    assert perf_counter() - began < 1
    assert admitted(small, anna) == 1


async def test_a_row_whose_job_waits_is_left_to_it_and_comes_up_again_when_that_job_is_lost(
    small: ByHand,
) -> None:
    anna = await with_model(small, "name:anna")
    wait_in_line(small, anna, 1)
    assert await small.parts.sweeper.sweep() == 1, "its turn"
    small.clock.move(timedelta(minutes=1))  # long past its lease
    assert await small.parts.sweeper.sweep() == 0, "its job still waits"
    small.run("delete from jobs")  # taken by a worker that was killed
    assert await small.parts.sweeper.sweep() == 1
    assert small.rows("select kind from jobs") == [("generation",)]


async def test_places_go_round_among_members_and_never_beyond_the_cap(small: ByHand) -> None:
    members = [await with_model(small, f"name:{number}") for number in range(12)]
    for number, member in enumerate(members):
        wait_in_line(small, member, 20, minutes_ago=100 - number)
    await asyncio.gather(*(small.parts.sweeper.admit("generation") for _ in range(8)))
    counts = [admitted(small, member) for member in members]
    assert sum(counts) == 8
    assert max(counts) == 1

    # whoever has had a turn stands behind those who have not
    small.run(
        "update generation_trackers set status = 'failed' where admitted_at is not null and user_id <> %s",
        members[0].id,
    )
    await small.parts.sweeper.admit("generation")
    running = small.rows(
        "select user_id from generation_trackers where admitted_at is not null and status = 'queued'"
    )
    assert len(running) == 8
    assert len({user_id for (user_id,) in running}) == 8


async def test_planted_bug_first_come_first_served_is_caught(
    small: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfair = admission._ADMIT.replace("order by place, created_at", "order by created_at, place")
    unfair = unfair.replace("greatest(0, %(each)s - coalesce(busy.n, 0))", "1000000")
    monkeypatch.setattr(admission, "_ADMIT", unfair)
    with pytest.raises(AssertionError):
        await test_places_go_round_among_members_and_never_beyond_the_cap(small)


async def test_planted_bug_admission_without_its_lock_is_caught(
    small: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = admission.SystemTx.value

    async def slow(self: admission.SystemTx, sql: str, params: object = ()) -> object:
        found = await real(self, sql, params)  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        return found

    async def no_lock(self: admission.SystemTx, sql: str, params: object = ()) -> int:
        return 0 if "advisory" in sql else (await self.conn.execute(sql, params)).rowcount  # type: ignore[arg-type]

    monkeypatch.setattr(admission.SystemTx, "value", slow)
    monkeypatch.setattr(admission.SystemTx, "run", no_lock)
    with pytest.raises(AssertionError):
        await test_places_go_round_among_members_and_never_beyond_the_cap(small)


async def test_an_ended_run_makes_room_for_the_next_at_once(small: ByHand) -> None:
    anna, ben, cleo = [await small.member(f"name:{name}") for name in ("anna", "ben", "cleo")]
    paths = {}
    for member in (anna, ben, cleo):
        training = await member.post("/api/v1/trainings")
        paths[member.id] = f"/api/v1/trainings/{training['id']}"
        small.clock.move(timedelta(seconds=1))
    await small.until(anna, paths[anna.id], "training")
    waiting = await cleo.get(paths[cleo.id])
    assert waiting["status"] == "queued"
    assert waiting["next_step"] == "Nothing to do: it starts as soon as a place is free."
    await small.until_quiet()
    assert [(await m.get(paths[m.id]))["status"] for m in (anna, ben, cleo)] == ["completed"] * 3
    jobs = small.rows("select id from jobs where kind = 'admission'")
    assert ("training",) in jobs


async def test_a_waiting_training_can_be_taken_back_and_costs_nothing_of_the_budget(small: ByHand) -> None:
    member = await small.member()
    for _ in range(5):
        training = await member.post("/api/v1/trainings")
        path = f"/api/v1/trainings/{training['id']}"
        await member.post(f"{path}/cancel")
        await small.until(member, path, "canceled")
    assert small.cloud.trainings() == []
    await small.trained(member)


async def test_a_members_budget_of_starts_holds_and_comes_back_after_a_day(small: ByHand) -> None:
    member = await small.member()
    for _ in range(3):
        await small.trained(member)
    refusal = await member.post("/api/v1/trainings", expect=429)
    assert refusal["code"] == "start_budget_spent"
    assert refusal["next_step"]
    small.clock.move(timedelta(hours=24))
    await small.trained(member)


async def test_a_start_that_never_began_counts_in_no_budget(small: ByHand) -> None:
    members = [await small.member(f"name:{number}") for number in range(5)]
    no_credit = problem(402, "Insufficient credit.")
    for member in members:
        small.cloud.fail_next("POST", "/v1/models/ostris", *[no_credit] * 3)
        await small.trained(member)
    assert len(small.cloud.trainings()) == 5


async def test_the_instances_budget_cannot_be_exceeded_by_even_one_and_the_rest_waits_its_day(
    small: ByHand,
) -> None:
    members = [await small.member(f"name:{number}") for number in range(7)]
    for member in members:
        await member.post("/api/v1/trainings")
    await asyncio.gather(*(small.parts.sweeper.admit("training") for _ in range(6)))
    await small.until_quiet()
    assert len(small.cloud.trainings()) == 5
    small.clock.move(timedelta(hours=24))
    await small.until_quiet()
    assert len(small.cloud.trainings()) == 7
