"""Whatever becomes of Maya's language model, a set of the photoshoot goes on as if nothing were the matter."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.llm_server import ScriptedModel, answer, card, out_of_order
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member
from tests.integration.shooting import seen, shoot, statuses, turn, until_drawn
from tests.integration.test_maya import chat
from tests.integration.test_maya_model import refused, with_model

from portraitist.kit.embedded_postgres import Server

pytestmark = pytest.mark.anyio
NONSENSE = answer(cards=[card("A", prompt="a short one"), card("B"), card("B")])
FAULTS: list[tuple[Any, tuple[int, str]]] = [
    (out_of_order(503), (503, "maya_away")),
    (out_of_order(401), (503, "maya_away")),
    (out_of_order(400), (502, "maya_refused")),
    ("La la la.", (502, "maya_unreadable")),
    (NONSENSE, (502, "maya_unreadable")),
]


async def drawn(studio: ByHand, member: Member, photo_set: Any) -> int:
    """How many shots of the set are there after one more round."""
    await turn(studio)
    await studio.until_quiet()
    await turn(studio)
    return statuses(await seen(member, photo_set)).count("completed")


async def test_a_set_goes_on_while_her_model_is_down_slow_refuses_talks_nonsense_or_costs_too_much(
    postgres: Server, studio_database: str, tmp_path: Path
) -> None:
    budget = {"maya_tokens_per_member_per_day": 6_500, "maya_answer_tokens": 1_000}
    model = ScriptedModel()
    async with with_model(postgres, studio_database, tmp_path, model, **budget) as studio:
        member = await studio.member()
        await studio.trained(member)
        talk, photo_set = await chat(member), await shoot(member)

        model.first_s = 600
        slow = asyncio.create_task(refused(member, talk, "slow"))
        while not model.asked and not slow.done():
            await asyncio.sleep(0.01)
        await turn(studio)
        assert "queued" in statuses(await seen(member, photo_set)) and not slow.done()
        [answering] = studio.web.state.maya._tasks
        answering.cancel()  # as when her time is up: any time would be too short on some machine
        assert await slow == (503, "maya_slow")
        model.first_s = 0

        done = 0
        for given, expected in FAULTS:
            model.answers = [given]
            assert await refused(member, talk, expected[1]) == expected
            if done < 8:
                before, done = done, await drawn(studio, member, photo_set)
                assert done > before
        model.answers = [answer()]
        while (last := await refused_or_said(member, talk)) == 201:
            assert len(model.asked) < 20
        assert last == 429

        await until_drawn(studio)
        whole = await seen(member, photo_set)
        assert whole["status"] == "done" and statuses(whole) == ["completed"] * 8
        assert sum(len(shot["generation"]["images"]) for shot in whole["shots"]) == 24
        another = await shoot(member, "marble-lobby")  # the photoshoot needs nothing of her
        await until_drawn(studio)
        assert statuses(await seen(member, another)) == ["completed"] * 3
        kept = (await member.get(f"/api/v1/maya/chats/{talk}"))["messages"]
        failed = [each["error_code"] for each in kept if each["status"] == "failed"]
        assert failed == ["maya_slow", *(code for _, (_, code) in FAULTS)]


async def refused_or_said(member: Member, talk: str) -> int:
    """The status of one more question."""
    answered = await member.http.post(f"/api/v1/maya/chats/{talk}/messages", json={"words": "more"})
    return answered.status_code
