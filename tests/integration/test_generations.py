"""Generations against a provider that misbehaves, and the gate in front of them."""

import asyncio
import json
from typing import Any

import pytest
from tests.fakes.replicate_cloud import CUT
from tests.fakes.serving import served
from tests.integration.conftest import Member, Studio
from tests.integration.test_trainings import ready, trained

from portraitist.studio import app

pytestmark = pytest.mark.anyio
PREDICTIONS = "/v1/predictions"


@pytest.fixture
async def member(studio: Studio) -> Member:
    """A member with a working model."""
    member = await ready(studio)
    await trained(member)
    return member


async def make(member: Member, prompt: str = "in a garden") -> Any:
    asked = await member.post("/api/v1/generations", {"prompt": prompt})
    return await member.until(
        f"/api/v1/generations/{asked['id']}", "completed", "failed", "canceled", "lost_at_provider"
    )


def sent_to_the_provider(studio: Studio) -> list[dict[str, Any]]:
    """Inputs of the predictions for members' pictures (the test picture asks for one output)."""
    runs = [run.shown for run in studio.cloud.runs.values()]
    return [run["input"] for run in runs if run["input"].get("num_outputs") == 3]


async def test_what_is_sent_is_the_own_version_with_the_locked_parameters(
    studio: Studio, member: Member
) -> None:
    made = await make(member, "in a garden, soft morning light")
    [sent] = sent_to_the_provider(studio)
    assert sent == {
        "prompt": f"user{member.id} person in a garden, soft morning light",
        "guidance_scale": 2.8,
        "num_inference_steps": 40,
        "lora_scale": 0.95,
        "num_outputs": 3,
        "aspect_ratio": "3:4",
        "output_format": "png",
        "output_quality": 95,
        "go_fast": False,
        "disable_safety_checker": False,
        "seed": made["seed"],
    }


@pytest.mark.parametrize(
    "key", ["model", "version", "lora_weights", "seed", "disable_safety_checker", "user_id"]
)
async def test_a_request_cannot_name_a_model_weights_or_parameters(member: Member, key: str) -> None:
    refusal = await member.post("/api/v1/generations", {"prompt": "x", key: "y"}, expect=422)
    assert refusal["code"] == "request_invalid"


@pytest.mark.parametrize(
    ("prompt", "code"), [("", "prompt_empty"), ("  \n", "prompt_empty"), ("x" * 2001, "prompt_too_long")]
)
async def test_a_prompt_that_cannot_be_used_is_refused_with_the_next_step(
    studio: Studio, member: Member, prompt: str, code: str
) -> None:
    refusal = await member.post("/api/v1/generations", {"prompt": prompt}, expect=422)
    assert refusal["code"] == code
    assert refusal["next_step"]
    assert sent_to_the_provider(studio) == []


async def test_an_answer_that_was_cut_off_is_found_again_and_not_paid_twice(
    studio: Studio, member: Member
) -> None:
    studio.cloud.fail_next("POST", PREDICTIONS, CUT)
    made = await make(member)
    assert made["status"] == "completed"
    assert len(sent_to_the_provider(studio)) == 1


async def test_the_same_key_gives_the_same_generation(studio: Studio, member: Member) -> None:
    asked = [
        await member.post(
            "/api/v1/generations", {"prompt": "in a garden"}, **{"Idempotency-Key": "one-click"}
        )
        for _ in range(3)
    ]
    assert len({item["id"] for item in asked}) == 1


async def test_pictures_that_the_safety_checker_took_are_missing_and_the_rest_is_a_success(
    studio: Studio, member: Member
) -> None:
    studio.cloud.flagged = {1}
    made = await make(member)
    assert made["status"] == "completed"
    assert [image["index"] for image in made["images"]] == [0, 2]


async def test_all_flagged_is_a_failure_with_its_own_words(studio: Studio, member: Member) -> None:
    studio.cloud.flagged = {0, 1, 2}
    made = await make(member)
    assert (made["status"], made["error_code"]) == ("failed", "all_flagged")
    assert made["next_step"]


async def test_pictures_deleted_before_they_could_be_fetched_are_lost_and_said_to_be(
    studio: Studio, member: Member
) -> None:
    studio.cloud.outputs = Vanished()
    made = await make(member)
    assert made["status"] == "lost_at_provider"
    assert made["images"] == []


class Vanished(dict[str, bytes]):
    """Takes outputs and has none."""

    def __setitem__(self, key: str, value: bytes) -> None:
        """Gone at once."""


async def test_no_row_without_its_file_and_no_file_without_its_row(studio: Studio, member: Member) -> None:
    await make(member)
    await make(member, "on a beach")
    rows = {key for (key,) in studio.rows("select object_key from ai_images")}
    files = {str(path.relative_to(studio.objects)) for path in studio.objects.rglob("*.png")}
    assert rows == files
    assert len(rows) == 6


async def test_open_streams_hear_of_every_step(studio: Studio, member: Member) -> None:
    heard: list[str] = []
    opened = asyncio.Event()

    async def listen(http: Any) -> None:
        async with http.stream("GET", "/api/v1/events") as answer:
            opened.set()
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    heard.append(json.loads(line.removeprefix("data: "))["status"])

    # steps that follow each other at once are told as one, so each waits here until it was heard of
    studio.cloud.may_download = lambda: "storing" in heard
    # the in-process transport hands a stream over only when it is complete, so this one asks a real server
    with served(app.create(studio.settings), lifespan="on") as url:
        http = type(member.http)(base_url=url, headers=dict(member.http.headers), timeout=60)
        async with http, asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(listen(http))
            await opened.wait()
            await make(member)
            while heard[-1:] != ["completed"]:
                await asyncio.sleep(0.05)
            listening.cancel()
    assert "storing" in heard
