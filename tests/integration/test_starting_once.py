"""However often it is clicked, cut off or answered twice: one run is paid for, and a second one is ended."""

import asyncio
from typing import Any

import pytest
from tests.integration.by_hand import ByHand

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
