"""An earlier version beside the one in use: only the one in use draws, and going back is one button."""

import re

import pytest
from tests.integration.browsing import NAVIGATION
from tests.integration.by_hand import ByHand
from tests.integration.test_pages_journey import anna_with_photos, asked, trained

pytestmark = pytest.mark.anyio
TRAININGS = "select v.id::text from model_versions v order by v.created_at"


async def test_the_same_words_by_two_versions_stand_side_by_side(by_hand: ByHand) -> None:
    window, _ = await anna_with_photos(by_hand)
    await trained(by_hand, window)
    await asked(by_hand, window, "by the sea")
    await trained(by_hand, window)
    [(old,), (new,)] = by_hand.rows(TRAININGS)
    await window.open("/training")
    assert window.page.count(f"/training/compare/{old}") == 1, "not with itself"
    await window.open(f"/training/compare/{old}")
    assert "Not drawn with this one yet." in window.text
    [(first,)] = by_hand.rows("select id::text from generation_trackers")
    await window.send(f"/training/compare/{old}/{first}")
    assert window.page.count('class="waiting"') == 3
    assert 'data-live="generation"' in window.page
    await by_hand.until_quiet()
    await window.open(f"/training/compare/{old}")
    assert len(re.findall("/api/v1/images/[0-9a-f-]{36}/small", window.page)) == 6
    made = by_hand.rows(
        "select model_version_id::text, prompt, seed from generation_trackers order by created_at"
    )
    assert [version for version, _, _ in made] == [old, new], "no other version than the one in use ever drew"
    assert len({prompt for _, prompt, _ in made}) == 1
    assert len({seed for _, _, seed in made}) == 2

    await window.open(f"/training/compare/{new}")
    assert "That version is the one in use." in window.text
    await window.open(f"/training/compare/{old}")
    await window.send(f"/training/versions/{old}/activate")
    assert by_hand.rows("select active_version_id::text from user_models") == [(old,)]

    bela = await by_hand.member("name:bela")
    await by_hand.trained(bela)
    [(theirs,)] = by_hand.rows("select id::text from model_versions where user_id = %s", bela.id)
    await window.open(f"/training/compare/{theirs}")
    assert window.status == 404
    await window.open("/training")
    form = {"csrf": window.form("/sign-out")["csrf"], "key": "a-key-of-anna"}
    for version, generation in ((old, theirs), (theirs, first)):
        answer = await window.http.post(
            f"/training/compare/{version}/{generation}", data=form, headers=NAVIGATION
        )
        assert answer.status_code == 404
