"""What the plainly forbidden meets at the API: a kind refusal, before anything is stored or paid for."""

from pathlib import Path
from typing import Any

import pytest
from tests.integration.by_hand import ByHand

from portraitist.studio import bootstrap
from portraitist.studio.prompting.refusing import Refusals
from portraitist.studio.startup import SettingsInvalid

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("naked in a garden", "prompt_sexual"),
        ("a child in a garden", "prompt_minor"),
        ("as Ada Lovelace", "prompt_named_person"),
    ],
)
async def test_a_refused_prompt_leaves_nothing_behind(by_hand: ByHand, prompt: str, code: str) -> None:
    member = await by_hand.member()
    await by_hand.trained(member)
    by_hand.web.state.refusals = Refusals(("Ada Lovelace",))
    runs = len(by_hand.cloud.runs)
    answer = await member.http.post(
        "/api/v1/generations", json={"prompt": prompt}, headers={"Idempotency-Key": "a key of mine"}
    )
    assert answer.status_code == 422
    told: dict[str, Any] = answer.json()
    assert told["code"] == code
    assert told["next_step"]
    assert prompt not in answer.text
    assert by_hand.rows("select 1 from generation_trackers") == []
    assert len(by_hand.cloud.runs) == runs
    after = await member.post(
        "/api/v1/generations", {"prompt": "in a garden"}, expect=201, **{"Idempotency-Key": "a key of mine"}
    )
    assert after["words"] == "in a garden"


async def test_the_word_for_the_person_names_an_adult(by_hand: ByHand) -> None:
    member = await by_hand.member()
    for word in ("child", "little girl", "naked woman", "5 year old"):
        answer = await member.http.patch("/api/v1/me", json={"subject_word": word})
        assert answer.json()["code"] == "subject_word_invalid"
    assert (await member.http.patch("/api/v1/me", json={"subject_word": "woman"})).status_code == 200


async def test_a_word_for_the_person_from_before_is_refused_with_each_prompt(by_hand: ByHand) -> None:
    member = await by_hand.member()
    await by_hand.trained(member)
    by_hand.run("update users set subject_word = 'child' where id = %s", member.id)
    answer = await member.http.post("/api/v1/generations", json={"prompt": "in a garden"})
    assert answer.json()["code"] == "prompt_minor"


async def test_the_operators_list_is_read_from_a_file_or_the_studio_does_not_start(
    by_hand: ByHand, tmp_path: Path
) -> None:
    file = tmp_path / "people.txt"
    named = by_hand.settings.model_copy(update={"people_file": file})
    with pytest.raises(SettingsInvalid, match="PEOPLE_FILE"):
        bootstrap.refusals(named)
    file.write_text("# nobody yet\nAda Lovelace\n")
    assert bootstrap.refusals(named).people == ("Ada Lovelace",)
    assert bootstrap.refusals(by_hand.settings).people == ()
