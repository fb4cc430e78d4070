"""The gallery's pages without scripts: filters, albums, several chosen at once, two side by side, facts of one."""

import io
import re
import zipfile
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from tests.integration.browsing import NAVIGATION, Surfer
from tests.integration.by_hand import ByHand
from tests.integration.test_pages_journey import anna_with_photos, asked, trained

pytestmark = pytest.mark.anyio


@pytest.fixture
async def window(by_hand: ByHand) -> Surfer:
    """A member's window, with six pictures: three by the sea, the next day three in a garden."""
    seen, _ = await anna_with_photos(by_hand)
    await trained(by_hand, seen)
    await asked(by_hand, seen, "by the sea")
    by_hand.clock.moved += timedelta(days=1)
    await asked(by_hand, seen, "in a garden")
    return seen


def tiles(window: Surfer) -> list[str]:
    return re.findall(r'<li class="picture" id="picture-([0-9a-f-]{36})"', window.page)


async def press(
    window: Surfer, what: str, ids: list[str], script: bool = False, **more: str
) -> httpx2.Response:
    """The button of what was chosen, as a browser sends it."""
    await window.open("/gallery?all=1")
    form: dict[str, Any] = {"csrf": window.form("/gallery/chosen")["csrf"], "what": what, "id": ids, **more}
    headers = NAVIGATION | ({"HX-Request": "true"} if script else {})
    return await window.http.post("/gallery/chosen", data=form, headers=headers)


async def test_filters_find_by_words_day_look_and_stay_in_the_form(by_hand: ByHand, window: Surfer) -> None:
    by_hand.run("update ai_images set look = 'golden-hour' where words = 'in a garden'")
    [(first_day, last_day)] = by_hand.rows(
        "select min(created_at)::date, max(created_at)::date from ai_images"
    )
    for query, count in {
        "": 6,
        "&q=sea": 3,
        "&look=golden-hour": 3,
        "&look=golden-hour&q=sea": 0,
        "&look=no-such-look": 0,
        f"&since={last_day}": 3,
        f"&until={first_day}": 3,
        f"&since={first_day}&until={last_day}": 6,
        "&since=not-a-day&until=9999-12-31&album=not-one": 6,
    }.items():
        await window.open(f"/gallery?all=1{query}")
        assert (window.status, len(tiles(window))) == (200, count), query
    await window.open(f"/gallery?all=1&since={first_day}&look=golden-hour")
    assert f'name="since" value="{first_day}"' in window.page
    assert '<option value="golden-hour" selected>in a garden</option>' in window.page
    assert f"look=golden-hour&amp;since={first_day}T00" in window.page, "the zip is of the same pictures"
    await window.open("/gallery?q=sea")
    assert "Nothing found" in window.text


async def test_the_days_of_a_filter_and_of_a_picture_are_the_members_own(
    by_hand: ByHand, window: Surfer
) -> None:
    by_hand.run("update ai_images set created_at = '2026-03-01 20:00+00' where words = 'in a garden'")
    by_hand.run("update ai_images set created_at = '2026-03-01 10:00+00' where words = 'by the sea'")
    for zone, first, second in (("", 6, 0), ("Asia/Tokyo", 3, 3), ("Moon/Crater", 6, 0)):
        window.http.cookies.set("zone", zone)
        for day, count in (("2026-03-01", first), ("2026-03-02", second)):
            await window.open(f"/gallery?all=1&since={day}&until={day}")
            assert len(tiles(window)) == count, (zone, day)
    window.http.cookies.set("zone", "Asia/Tokyo")
    await window.open("/gallery?all=1&since=2026-03-02")
    assert "since=2026-03-02T00%3A00%3A00%2B09%3A00" in window.page, "the zip is of the same pictures"
    await window.open(f"/gallery/{tiles(window)[0]}")
    assert "2 March 2026" in window.text
    await window.open("/gallery?all=1&since=0001-01-01&until=9999-12-30")
    assert (window.status, len(tiles(window))) == (200, 6), "the calendar's ends, wherever one is"


async def test_an_album_is_made_filled_renamed_emptied_and_deleted(by_hand: ByHand, window: Surfer) -> None:
    await window.open("/gallery/albums")
    assert "No albums yet" in window.text
    await window.send("/gallery/albums", name="Summer")
    assert "Summer" in window.text
    await window.send("/gallery/albums", name="Summer")
    assert (window.status, "You have an album called Summer already." in window.text) == (409, True)
    [(album,)] = by_hand.rows("select id::text from albums")
    await window.open("/gallery?all=1")
    one, two, *_ = tiles(window)
    answer = await press(window, "album", [one, two], album=album)
    assert answer.headers["location"] == f"/gallery?album={album}&told=in-album"
    await window.open(f"/gallery?album={album}")
    assert (window.title, tiles(window)) == ("Summer", [one, two])
    await window.send(f"/gallery/albums/{album}/rename", name="Autumn")
    assert (window.title, "The album has its new name." in window.text) == ("Autumn", True)
    answer = await press(window, "out", [one], album=album, back=f"/gallery?album={album}")
    assert answer.headers["location"] == f"/gallery?album={album}&told=out-of-album"
    await window.open(f"/gallery?album={album}")
    assert tiles(window) == [two]
    answer = await press(window, "album", [one], name="New one")
    assert by_hand.rows("select name from albums order by name") == [("Autumn",), ("New one",)]
    await window.open(f"/gallery?album={album}")
    await window.send(f"/gallery/albums/{album}/delete")
    assert "The album is gone; its pictures stay." in window.text
    assert by_hand.rows("select count(*) from ai_images where deleted_at is null") == [(6,)]


async def test_several_are_deleted_and_had_back_together(by_hand: ByHand, window: Surfer) -> None:
    await window.open("/gallery?all=1")
    ids = tiles(window)[:2]
    answer = await press(window, "delete", ids, script=True)
    assert answer.text.count("Deleted</p>") == 2
    assert answer.text.count('name="id" value=') == 2, "one undo for both"
    assert "<html" not in answer.text
    await window.open("/gallery?all=1")
    assert len(tiles(window)) == 4
    form = {"csrf": window.form("/sign-out")["csrf"], "id": ids}
    back = await window.http.post("/gallery/chosen/restore", data=form, headers=NAVIGATION)
    assert back.headers["location"] == "/gallery?told=some-restored"
    await window.open("/gallery?all=1")
    assert set(ids) <= set(tiles(window))
    plain = await press(window, "delete", ids)
    assert "2 pictures can be had back for seven days." in plain.text


async def test_a_zip_of_the_chosen_has_those_and_what_is_known_of_them(window: Surfer) -> None:
    await window.open("/gallery?all=1")
    ids = tiles(window)
    answer = await press(window, "zip", [ids[0], ids[3]])
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert len([name for name in names if name.endswith(".png")]) == 2
    assert "pictures.json" in names


async def test_two_are_shown_side_by_side_and_other_numbers_are_told(window: Surfer) -> None:
    await window.open("/gallery?all=1")
    ids = tiles(window)
    answer = await press(window, "compare", [ids[0], ids[3]])
    await window.open(answer.headers["location"])
    assert window.page.count("<figure>") == 2
    assert "in a garden" in window.text
    assert "by the sea" in window.text
    for chosen, told in ((ids[:3], "choose-two"), ([], "choose-some"), (ids[:1] * 201, "choose-fewer")):
        answer = await press(window, "compare", chosen, back="/gallery?all=1")
        assert answer.headers["location"] == f"/gallery?all=1&told={told}"
    elsewhere = await press(window, "compare", [], back="https://elsewhere.example/")
    assert elsewhere.headers["location"].startswith("/?told=")


async def test_nobody_elses_pictures_or_albums_are_reached(by_hand: ByHand, window: Surfer) -> None:
    bela = await by_hand.member("name:bela")
    await by_hand.trained(bela)
    made = await bela.post("/api/v1/generations", {"prompt": "in the snow"})
    done = await by_hand.until(bela, f"/api/v1/generations/{made['id']}", "completed")
    theirs = done["images"][0]["id"]
    album = (await bela.post("/api/v1/albums", {"name": "Bela's"}, expect=201))["id"]
    await window.open("/gallery?all=1")
    mine = tiles(window)[0]
    for what, more in (
        ("delete", {}),
        ("album", {"name": "Mine"}),
        ("album", {"album": album}),
        ("out", {"album": album}),
    ):
        ids = [mine] if more == {"album": album} else [mine, theirs]
        answer = await press(window, what, ids, **more)
        assert answer.status_code == 404, (what, more)
    await window.open(f"/gallery/compare/{mine}/{theirs}")
    assert window.status == 404
    await window.open(f"/gallery?album={album}")
    assert window.status == 404
    assert by_hand.rows("select count(*) from ai_images where deleted_at is not null") == [(0,)]
    assert by_hand.rows("select count(*) from album_images") == [(0,)]


async def test_the_prompt_shows_for_a_saved_picture_alone_and_a_colour_stands_until_it_has_come(
    by_hand: ByHand, window: Surfer
) -> None:
    await window.open("/gallery?all=1")
    [first, *_] = tiles(window)
    assert re.search(r'<svg class="tint" aria-hidden="true" color="#[0-9a-f]{6}"></svg>', window.page)
    assert f'src="/api/v1/images/{first}/small"' in window.page
    assert "style=" not in window.page
    [(prompt,)] = by_hand.rows("select prompt from generation_trackers where words = 'in a garden'")
    await window.open(f"/gallery/{first}")
    assert prompt not in window.text
    await window.send(f"/pictures/images/{first}/heart")
    await window.open(f"/gallery/{first}")
    assert prompt in window.text
    assert "signed by this studio (C2PA)" in window.text
