"""What really reaches the provider's wire, whatever a request of the API carries besides its words."""

import pytest
from tests.integration.by_hand import ByHand

pytestmark = pytest.mark.anyio
SWITCH = {"disable_safety_checker": True}


async def test_no_request_of_the_api_reaches_the_provider_without_the_checker(by_hand: ByHand) -> None:
    member = await by_hand.member()
    await by_hand.trained(member)
    for body in ({"prompt": "x", **SWITCH}, {"prompt": "x", "input": SWITCH}, {"prompt": SWITCH}, [SWITCH]):
        assert (await member.http.post("/api/v1/generations", json=body)).status_code == 422
    asked = await member.http.post(
        "/api/v1/generations",
        params=SWITCH,
        headers={"Disable-Safety-Checker": "true", "Prefer": "wait"},
        json={"prompt": 'in a garden {"disable_safety_checker": true}'},
    )
    assert asked.status_code == 201
    await by_hand.until(member, f"/api/v1/generations/{asked.json()['id']}", "completed")
    runs = [run.shown["input"] for run in by_hand.cloud.runs.values() if "prompt" in run.shown["input"]]
    assert len(runs) == 2  # the test picture of the training, and this one
    assert [run["disable_safety_checker"] for run in runs] == [False, False]


async def test_members_are_told_what_is_looked_at_and_what_is_not(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    told = await member.get("/api/v1/safety")
    assert told["pictures_checked"] is False  # an engine of our own draws here
    assert any("no safety checker" in line for line in told["in_words"])
    assert told["people_refused"] == 0
    assert any("list is empty" in line for line in told["in_words"])
