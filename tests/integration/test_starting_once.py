"""However often it is clicked, cut off or answered twice: one run is paid for, and a second one is ended."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.replicate_cloud import CUT
from tests.integration.by_hand import ByHand

from portraitist.studio.generation import starts as generation_starts
from portraitist.studio.training import starts as training_starts

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("tabs", [2, 12])
async def test_two_tabs_with_one_key_at_the_same_moment_get_the_same_training(
    by_hand: ByHand, tabs: int
) -> None:
    member = await by_hand.member()
    clicks = [member.post("/api/v1/trainings", **{"Idempotency-Key": "one-click"}) for _ in range(tabs)]
    begun = await asyncio.gather(*clicks)
    assert len({training["id"] for training in begun}) == 1
    await by_hand.until(member, f"/api/v1/trainings/{begun[0]['id']}", "completed")
    assert len(by_hand.cloud.trainings()) == 1


async def test_two_tabs_with_their_own_keys_at_the_same_moment_give_one_training_and_say_so(
    by_hand: ByHand,
) -> None:
    member = await by_hand.member()

    async def click(key: str) -> tuple[int, Any]:
        answer = await member.http.post("/api/v1/trainings", headers={"Idempotency-Key": key})
        return answer.status_code, answer.json()

    answers = await asyncio.gather(*(click(f"click-number-{number}") for number in range(6)))
    assert sorted(status for status, _ in answers) == [201, *[409] * 5]
    assert {body["code"] for status, body in answers if status == 409} == {"training_in_hand"}


async def test_one_key_at_the_same_moment_gives_the_same_generation_and_other_words_are_refused(
    by_hand: ByHand,
) -> None:
    member = await by_hand.member()
    await by_hand.trained(member)
    clicks = [
        member.post("/api/v1/generations", {"prompt": "in a garden"}, **{"Idempotency-Key": "one-click"})
        for _ in range(8)
    ]
    asked = await asyncio.gather(*clicks)
    assert len({generation["id"] for generation in asked}) == 1
    await by_hand.until(member, f"/api/v1/generations/{asked[0]['id']}", "completed")
    assert len(by_hand.cloud.predictions()) == 1
    refusal = await member.post(
        "/api/v1/generations", {"prompt": "on a beach"}, expect=422, **{"Idempotency-Key": "one-click"}
    )
    assert refusal["code"] == "key_reused"


def billed_twice(by_hand: ByHand) -> list[str]:
    """Runs at the provider that go on or were finished, are not the row's own and are recorded nowhere."""
    own = {row[0] for row in by_hand.rows("select provider_training_id from trainings")}
    own |= {row[0] for row in by_hand.rows("select verify_prediction_id from trainings")}
    own |= {row[0] for row in by_hand.rows("select provider_prediction_id from generation_trackers")}
    twins = by_hand.rows("select twins from trainings union all select twins from generation_trackers")
    own |= {twin["provider_id"] for (noted,) in twins for twin in noted if twin["reason"] == "second_start"}
    return [
        run_id
        for run_id, run in by_hand.cloud.runs.items()
        if run_id not in own and run.shown["status"] not in ("canceled", "failed")
    ]


async def late_second_runs(by_hand: ByHand) -> Any:
    """A training, its test picture and a generation, each answered by the provider a second time."""
    member = await by_hand.member()
    await by_hand.trained(member)
    asked = await member.post("/api/v1/generations", {"prompt": "in a garden"})
    await by_hand.until(member, f"/api/v1/generations/{asked['id']}", "completed")
    runs = [*by_hand.cloud.trainings(), *by_hand.cloud.predictions(1), *by_hand.cloud.predictions(3)]
    return [by_hand.cloud.again(run) for run in runs]


async def test_second_runs_are_ended_at_the_provider_with_a_recorded_reason(by_hand: ByHand) -> None:
    twins = await late_second_runs(by_hand)
    assert len(billed_twice(by_hand)) == 3
    assert await by_hand.parts.twins.end("engine") == 3
    assert [twin.shown["status"] for twin in twins] == ["canceled"] * 3
    assert billed_twice(by_hand) == []
    [(noted,)] = by_hand.rows("select twins from generation_trackers")
    assert (noted[0]["reason"], noted[0]["outcome"]) == ("second_start", "canceled")
    assert await by_hand.parts.twins.end("engine") == 0


async def test_a_start_given_up_and_sent_again_is_ended_when_the_first_turns_up_after_all(
    by_hand: ByHand,
) -> None:
    by_hand.cloud.statuses_of_a_training = ["starting", *["processing"] * 10, "succeeded"]
    by_hand.cloud.fail_next("POST", "/v1/models/ostris", CUT)
    by_hand.cloud.lists_lag = True  # and stays behind for longer than the grace
    member = await by_hand.member()
    training = await member.post("/api/v1/trainings")
    path = f"/api/v1/trainings/{training['id']}"
    await by_hand.until(member, path, "training")
    assert len(by_hand.cloud.trainings()) == 2
    first, second = by_hand.cloud.trainings()
    by_hand.cloud.lists_catch_up()
    assert await by_hand.parts.twins.end("engine") == 1
    assert (first.shown["status"], second.shown["status"]) == ("canceled", "processing")
    done = await by_hand.until(member, path, "completed")
    assert done["attempt"] == 2
    assert billed_twice(by_hand) == []


async def test_a_start_that_is_about_to_be_adopted_is_left_alone(by_hand: ByHand) -> None:
    by_hand.cloud.fail_next("POST", "/v1/models/ostris", CUT)
    by_hand.cloud.lists_lag = True
    member = await by_hand.member()
    training = await member.post("/api/v1/trainings")
    path = f"/api/v1/trainings/{training['id']}"
    await by_hand.until(member, path, "submitting")
    by_hand.cloud.lists_catch_up()
    assert await by_hand.parts.twins.end("engine") == 0
    await by_hand.until(member, path, "completed")
    assert len(by_hand.cloud.trainings()) == 1


async def test_a_run_that_turns_up_after_its_training_was_taken_back_is_ended(by_hand: ByHand) -> None:
    by_hand.cloud.statuses_of_a_training = ["starting", *["processing"] * 10_000]
    by_hand.cloud.fail_next("POST", "/v1/models/ostris", CUT)
    by_hand.cloud.lists_lag = True
    member = await by_hand.member()
    training = await member.post("/api/v1/trainings")
    path = f"/api/v1/trainings/{training['id']}"
    await by_hand.until(member, path, "submitting")
    await member.post(f"{path}/cancel")
    await by_hand.until(member, path, "canceled")
    by_hand.clock.move(timedelta(hours=20))
    by_hand.cloud.lists_catch_up()
    assert await by_hand.parts.twins.end("engine") == 1
    assert by_hand.cloud.trainings()[0].shown["status"] == "canceled"


async def test_runs_of_nobody_we_know_are_not_touched(by_hand: ByHand) -> None:
    [run, *_] = await late_second_runs(by_hand)
    await by_hand.parts.twins.end("engine")
    foreign = by_hand.cloud.again(run)
    foreign.shown["input"] = {"trigger_word": "TOK", "input_images": "https://elsewhere.example/x.zip"}
    other = by_hand.cloud.again(run)
    other.shown["input"] = {
        "trigger_word": f"user{'z' * 12}",
        "input_images": "https://elsewhere.example/x.zip",
    }
    assert await by_hand.parts.twins.end("engine") == 0
    assert foreign.shown["status"] == other.shown["status"] == "starting"


async def test_planted_bug_a_blind_twin_sweep_is_caught(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_starts.Start, "has_twin", lambda self, remote: False)
    monkeypatch.setattr(generation_starts.Start, "has_twin", lambda self, remote: False)
    await late_second_runs(by_hand)
    await by_hand.parts.twins.end("engine")
    assert len(billed_twice(by_hand)) == 2
