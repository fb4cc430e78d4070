"""The photoshoot's pages without scripts: looking around, shooting, the sheet of a set and what can be done with it."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.integration.browsing import NAVIGATION, Surfer, signed_in
from tests.integration.by_hand import ByHand
from tests.integration.people import ADMIN
from tests.integration.shooting import turn, until_drawn, until_still
from tests.integration.test_pages_journey import anna_with_photos, trained
from tests.unit.studio.photoshoot.test_operators_looks import GOOD

from portraitist.studio.photoshoot.folder import Looks

pytestmark = pytest.mark.anyio
TRAVEL = "/photoshoot/travel"


@pytest.fixture
async def window(by_hand: ByHand) -> Surfer:
    """A member's window who has a model."""
    seen, _ = await anna_with_photos(by_hand)
    await trained(by_hand, seen)
    return seen


def csrf_of(window: Surfer) -> str:
    return re.findall(r'name="csrf" content="([^"]*)"', window.page)[0]


async def shot(window: Surfer, look: str = "", mine: bool = False, **filled: Any) -> None:
    """The button of the whole set, or of one look, as a browser sends it."""
    await window.open(TRAVEL)
    hidden = {name: window.form(TRAVEL)[name] for name in ("csrf", "key")}
    answer = await window.http.post(
        TRAVEL + ("?mine=1" if mine else ""), data=hidden | {"look": look, **filled}, headers=NAVIGATION
    )
    await window._shown(answer)


async def test_without_a_model_one_may_look_around_and_is_told_the_next_step(by_hand: ByHand) -> None:
    window, _ = await anna_with_photos(by_hand, photos=3)
    await window.open("/photoshoot")
    assert window.text.count("8 looks") == 9
    assert "Train your model" in window.text or "Add photos" in window.text
    await window.open(TRAVEL)
    assert window.title == "Travel" and "Over the pass" in window.text
    assert "Shoot this look" not in window.text
    answer = await window.http.post(TRAVEL, data={"csrf": csrf_of(window)}, headers=NAVIGATION)
    assert answer.status_code == 409 and "too few photos" in answer.text


async def test_a_collection_dropped_into_the_folder_is_offered_at_once_and_a_bad_one_is_told_to_the_admin(
    by_hand: ByHand, window: Surfer, tmp_path: Path
) -> None:
    by_hand.web.state.looks = Looks(tmp_path)
    admin = await signed_in(by_hand, ADMIN)
    await admin.open("/admin/settings")
    assert "Not everything in LOOKS_DIR" not in admin.text
    (tmp_path / "harbour-days.toml").write_text(GOOD)
    (tmp_path / "south.toml").write_text(GOOD.replace("north-pier", "South Pier"))
    await window.open("/photoshoot")
    assert "Harbour days" in window.text
    await window.open("/photoshoot/harbour-days")
    assert "North pier" in window.text
    await admin.open("/admin/settings")
    assert "Not everything in LOOKS_DIR can be offered" in admin.text
    assert "south.toml, look South Pier, slug: string should match pattern" in admin.text
    assert "harbour-days" not in admin.text


async def test_a_set_comes_in_on_its_sheet_and_no_prompt_is_seen(by_hand: ByHand, window: Surfer) -> None:
    await shot(window, "alpine-pass")
    assert window.title == "Over the pass" and "0 of 3 shots are in" in window.text
    assert window.page.count('class="waiting still"') == 9
    sheet = window.address
    await until_drawn(by_hand)
    await window.open(sheet)
    assert "All of it is here." in window.text
    assert window.page.count('class="picture"') == 9
    assert [text in window.text for text in ("Close-up", "Half body", "Full scene")] == [True] * 3
    assert "mm lens" not in window.page and "fleece" not in window.page
    star = re.search(r'formaction="(/gallery/[0-9a-f-]{36}/favourite)"', window.page)
    assert star
    await window.http.post(star[1], data={"csrf": csrf_of(window), "on": "true"}, headers=NAVIGATION)
    assert by_hand.rows("select count(*) from ai_images where favourite and saved") == [(1,)]

    await window.open("/photoshoot")
    assert "3 of 3 shots" in window.text
    own_cover = re.search(r'href="/photoshoot/travel">\s*<span class="framed">', window.page)
    assert own_cover, "its cover is a picture of hers"
    await window.open(TRAVEL)
    assert window.page.count('class="cloth"') == 7


async def test_the_rest_is_put_off_canceled_and_gone_on_with(by_hand: ByHand, window: Surfer) -> None:
    await shot(window)
    sheet = window.address.removeprefix("http://studio").partition("?")[0]
    await turn(by_hand)
    await window.open(sheet)
    await window.send(f"{sheet}/pause")
    assert "The rest comes by itself on" in window.text
    await window.send(f"{sheet}/go-on")
    assert "They come a few at a time" in window.text
    await window.send(f"{sheet}/cancel")
    assert "The rest is canceled. What is here stays: 0 of 8 shots." in window.text
    await until_still(by_hand)
    await window.open(sheet)
    await window.send(f"{sheet}/go-on")
    await until_still(by_hand)
    await window.open(sheet)
    assert "All of it is here." in window.text


async def test_every_shot_is_one_tick_and_a_finished_set_leaves_the_list_with_its_pictures_kept(
    by_hand: ByHand, window: Surfer
) -> None:
    await shot(window, every_shot="true")
    assert window.page.count('class="waiting still"') == 72
    sheet = window.address.removeprefix("http://studio").partition("?")[0]
    await window.send(f"{sheet}/cancel")
    await shot(window, "alpine-pass", every_shot="true")
    assert window.page.count('class="waiting still"') == 9, "one look always is shot in all three"
    await until_drawn(by_hand)
    await window.open(sheet)
    await window.send(f"{sheet}/remove")
    assert window.title == "Choose a look, stand still, done." and "its pictures stay" in window.text
    assert sheet not in window.page and "Over the pass" in window.text
    assert by_hand.rows("select count(*) from ai_images where look = 'alpine-pass'") == [(9,)]


async def test_colours_are_the_members_choice_or_what_maya_knows(by_hand: ByHand, window: Surfer) -> None:
    await shot(window, colours=["navy", "rust"])
    await window.open(TRAVEL)
    assert "Maya knows of me" not in window.text
    by_hand.run(
        "insert into maya_styles (user_id, colours, settings, limits, no_go, changed_at) "
        "select user_id, array['Plum', 'ultraviolet', 'sand'], '{}', '', '{}', now() from photo_sets"
    )
    await shot(window, mine=True)
    assert sorted(by_hand.rows("select colours from photo_sets")) == [
        (["navy", "rust"],),
        (["plum", "sand"],),
    ]


async def test_what_is_refused_is_told_beside_what_was_chosen(by_hand: ByHand, window: Surfer) -> None:
    await shot(window, colours=["ultraviolet"])
    assert window.status == 422 and "colours can be taken" in window.text and window.title == "Travel"
    await shot(window, look="marble-lobby")
    assert window.status == 404 and "no such look" in window.text
    await window.open("/photoshoot/nothing")
    assert window.status == 404 and "Look at the collections" in window.text
