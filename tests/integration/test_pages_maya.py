"""Maya's pages without scripts: an idea, cards, previews in the very message, a heart; and what she knows."""

import re

import pytest
from tests.integration.browsing import NAVIGATION
from tests.integration.by_hand import ByHand
from tests.integration.test_pages_journey import anna_with_photos, trained

from portraitist.studio.maya.domain import Budget

pytestmark = pytest.mark.anyio


async def test_from_an_idea_to_a_saved_picture_in_the_message(by_hand: ByHand) -> None:
    window, _ = await anna_with_photos(by_hand)
    await window.open("/maya")
    assert "Hello, I'm Maya" in window.text
    await window.send("/maya/say", words="by the sea in a yellow raincoat")
    assert "Start the training of your model" in window.text
    assert 'href="/training"' in window.page
    assert "/shoot" not in window.page
    await trained(by_hand, window)
    await window.open("/maya")
    cards = re.findall(r'action="(/maya/chats/[0-9a-f-]+/cards/[0-9a-f-]+/shoot)"', window.page)
    assert len(cards) == 4
    await window.send(cards[0])
    assert window.page.count('class="waiting"') == 3
    assert 'data-live="maya generation"' in window.page
    await by_hand.until_quiet()
    await window.open("/maya")
    pictures = re.findall(r'action="(/pictures/images/[0-9a-f-]{36}/heart)"', window.page)
    assert len(pictures) == 3
    await window.send(pictures[0])
    await window.open("/gallery")
    assert "As you said it" in window.page
    await window.open("/maya")
    [prompt] = by_hand.rows("select prompt from generation_trackers")
    assert str(prompt[0])[20:60] not in window.text


async def test_words_that_are_refused_stay_in_the_field_and_her_knowledge_is_the_members(
    by_hand: ByHand,
) -> None:
    window, _ = await anna_with_photos(by_hand, photos=0)
    await window.open("/maya")
    await window.send("/maya/say", words="nude on a beach")
    assert window.status == 422
    assert "makes no nude" in window.text
    assert ">nude on a beach</textarea>" in window.page
    await window.open("/maya/style")
    assert "No language model is configured" in window.text
    form = window.form("/maya/style") | {"colour": "navy", "no_go": "sofa, heels"}
    await window.http.post("/maya/style", data=form, headers=NAVIGATION)
    await window.open("/maya/style")
    assert "sofa\nheels</textarea>" in window.page
    await window.send("/maya/memory", note="I love linen")
    assert "I love linen" in window.page
    again = window.form("/maya/memory") | {"note": "I love linen"}
    known = await window.http.post("/maya/memory", data=again, headers=NAVIGATION)
    assert (known.status_code, "remembers that already" in known.text) == (409, True)
    [note] = set(re.findall(r'action="(/maya/memory/[0-9a-f-]{36})/delete"', window.page))
    await window.send(f"{note}/delete")
    assert "Forgotten." in window.text
    assert "I love linen" not in window.form("/maya/style").values()


async def test_over_the_days_budget_the_words_stay_in_the_field_and_the_photoshoot_is_open(
    by_hand: ByHand,
) -> None:
    window, _ = await anna_with_photos(by_hand, photos=0)
    by_hand.web.state.maya.budget = Budget(tokens=0, at_most=1)
    await window.open("/maya")
    await window.send("/maya/say", words="by the sea")
    assert window.status == 429
    assert "talked a lot today" in window.text
    assert ">by the sea</textarea>" in window.page
    assert by_hand.rows("select count(*) from maya_messages") == [(0,)]
    await window.open("/photoshoot")
    assert window.status == 200
