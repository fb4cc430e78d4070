"""The way through the pages without scripts: consent, photos, a training, pictures, the gallery."""

import re

import pytest
from tests.integration.browsing import NAVIGATION, Surfer, signed_in
from tests.integration.by_hand import ByHand
from tests.integration.people import ADMIN, ANNA, first_admin, joined

from portraitist.studio.prompting.refusing import Refusals

pytestmark = pytest.mark.anyio


async def anna_with_photos(studio: ByHand, photos: int = 10) -> tuple[Surfer, str]:
    """A member who has agreed, with accepted photos, signed in by the page; and her id."""
    admin = await first_admin(studio)
    there = await joined(studio, admin, ANNA)
    user_id = (await there.ok("GET", "/me"))["id"]
    window = await signed_in(studio, ANNA)
    await window.open("/photos")
    assert "photos of a face" in window.text
    await window.send("/photos/consent")
    assert "Ten good photos are enough" in window.text
    await studio.enter_photos(user_id, photos)
    return window, user_id


async def trained(studio: ByHand, window: Surfer) -> None:
    await window.open("/training")
    await window.send("/training")
    await studio.until_quiet()
    await window.open("/training")


async def asked(studio: ByHand, window: Surfer, words: str) -> str:
    """The generation's id, its pictures stored."""
    await window.open("/pictures")
    await window.send("/pictures", prompt=words)
    await studio.until_quiet()
    await window.open("/pictures")
    return str(studio.rows("select id from generation_trackers order by created_at desc limit 1")[0][0])


async def test_the_first_page_says_the_next_step_at_each_station(by_hand: ByHand) -> None:
    window, user_id = await anna_with_photos(by_hand, photos=9)
    await window.open("/")
    assert window.title == "Your model needs one more good photo."
    await by_hand.enter_photos(user_id, 1, first=9)
    await window.open("/")
    assert window.title.endswith("Your model can be trained.")
    await window.open("/training")
    await window.send("/training")
    await window.open("/")
    assert window.title.startswith("Your model is being trained.")
    await by_hand.until_quiet()
    await window.open("/")
    assert window.title.startswith("Your model is ready.")


async def test_photos_are_shown_counted_and_deleted(by_hand: ByHand) -> None:
    window, _ = await anna_with_photos(by_hand, photos=3)
    await window.open("/photos")
    assert "3 of 10 are in" in window.text
    [first, *_] = re.findall(r"/photos/([0-9a-f-]{36})/delete", window.page)
    await window.send(f"/photos/{first}/delete")
    assert "The photo is deleted." in window.text
    assert "2 of 10 are in" in window.text
    again = await window.http.post(
        f"/photos/{first}/delete", data=window.form("/sign-out"), headers=NAVIGATION
    )
    assert (again.status_code, "no such photo" in again.text) == (404, True)


async def test_a_training_is_followed_canceled_and_begun_once_by_two_clicks(by_hand: ByHand) -> None:
    window, _ = await anna_with_photos(by_hand)
    await window.open("/training")
    form = window.form("/training")
    for _ in range(2):
        answer = await window.http.post("/training", data=form, headers=NAVIGATION)
        assert answer.status_code == 303
    assert len(by_hand.rows("select id from trainings")) == 1
    await by_hand.step()
    await window.open("/training")
    assert 'data-live="training"' in window.page
    assert "Looked at" in window.text
    [id_] = set(re.findall(r"/training/([0-9a-f-]{36})/cancel", window.page))
    await window.send(f"/training/{id_}/cancel")
    assert "being canceled" in window.text
    await by_hand.until_quiet()
    await window.open("/training")
    assert 'data-live="training"' not in window.page
    assert "was canceled. Your photos stay." in window.text
    assert "Train again with 10 photos" in window.text


async def test_a_second_training_is_refused_with_the_way_on(by_hand: ByHand) -> None:
    window, _ = await anna_with_photos(by_hand)
    await window.open("/training")
    form = window.form("/training")
    await window.send("/training")
    answer = await window.http.post("/training", data=form | {"key": "another-key"}, headers=NAVIGATION)
    assert answer.status_code == 409
    assert "already running" in answer.text
    assert 'href="/training"' in answer.text
    assert "/api/" not in re.sub(r"<link[^>]*>", "", answer.text)
    as_script = await window.http.post(
        "/training", data=form | {"key": "another-key"}, headers=NAVIGATION | {"HX-Request": "true"}
    )
    assert as_script.headers["hx-retarget"] == "#toasts"
    assert "<html" not in as_script.text


async def test_three_pictures_come_are_hearted_and_asked_for_again_with_another_seed(by_hand: ByHand) -> None:
    window, _ = await anna_with_photos(by_hand)
    await window.open("/pictures")
    assert "no trained model yet" in window.text
    assert 'href="/training"' in window.page
    await trained(by_hand, window)
    assert "is in use" in window.text
    await window.open("/pictures")
    await window.send("/pictures", prompt="by the <sea> & more")
    assert window.page.count('class="waiting"') == 3
    assert "by the &lt;sea&gt; &amp; more" in window.page
    await by_hand.until_quiet()
    await window.open("/pictures")
    assert "waiting" not in window.page
    pictures = re.findall(r'action="/pictures/images/([0-9a-f-]{36})/heart', window.page)
    assert len(pictures) == 3
    assert (await window.http.get(f"/api/v1/images/{pictures[0]}/file")).headers[
        "content-type"
    ] == "image/png"
    await window.send(f"/pictures/images/{pictures[0]}/heart")
    assert "Saved to your gallery." in window.text
    [id_] = by_hand.rows("select id from generation_trackers")
    await window.send(f"/pictures/{id_[0]}/again")
    seeds = by_hand.rows("select words, seed from generation_trackers")
    assert {words for words, _ in seeds} == {"by the <sea> & more"}
    assert len({seed for _, seed in seeds}) == 2


async def test_words_that_are_refused_stay_in_the_field(by_hand: ByHand) -> None:
    window, _ = await anna_with_photos(by_hand)
    await trained(by_hand, window)
    await window.open("/pictures")
    await window.send("/pictures", prompt="sea " * 600)
    assert window.status == 422
    assert "at most 2,000 fit" in window.text
    assert "sea sea sea" in window.page
    assert by_hand.rows("select count(*) from generation_trackers") == [(0,)]


async def test_what_the_api_refuses_to_draw_the_page_refuses_too(by_hand: ByHand) -> None:
    window, _ = await anna_with_photos(by_hand)
    await trained(by_hand, window)
    await asked(by_hand, window, "by the sea")
    by_hand.web.state.refusals = Refusals(("Ada Lovelace",))
    for words in ("naked in a garden", "a child in a garden", "as Ada Lovelace"):
        await window.open("/pictures")
        await window.send("/pictures", prompt=words)
        assert (window.status, words in window.page) == (422, True)
    [id_] = by_hand.rows("select id from generation_trackers")
    by_hand.run("update generation_trackers set words = 'as Ada Lovelace'")
    await window.open("/pictures")
    await window.send(f"/pictures/{id_[0]}/again")
    assert window.status == 422
    assert len(by_hand.rows("select id from generation_trackers")) == 1


async def test_the_gallery_pages_on_deletes_and_undoes(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.studio.web.wall.AT_ONCE", 2)
    window, _ = await anna_with_photos(by_hand)
    await trained(by_hand, window)
    await asked(by_hand, window, "by the sea")
    await window.open("/gallery")
    assert "Your gallery is empty" in window.text
    await window.open("/gallery?all=1&q=sea")
    first = re.findall(r'id="picture-([0-9a-f-]{36})"', window.page)
    more = re.search(r'data-more="([^"]+)"', window.page)
    assert len(first) == 2
    assert more is not None
    await window.open(more.group(1).replace("&amp;", "&"))
    rest = re.findall(r'id="picture-([0-9a-f-]{36})"', window.page)
    assert (len(rest), set(rest) & set(first)) == (1, set())
    assert 'data-more=""' in window.page
    await window.open(f"/gallery/{first[0]}")
    assert "by the sea" in window.title
    [details, *_] = re.findall(r"<details.*?</details>", window.page, re.DOTALL)
    assert "Seed" in details
    assert "selfie-lora" in details
    await window.send(f"/gallery/{first[0]}/delete")
    assert window.title == "Deleted"
    await window.send("/gallery/chosen/restore")
    assert "The picture is back." in window.text
    form = {"csrf": window.form("/sign-out")["csrf"], "on": "true"}
    headers = NAVIGATION | {"HX-Request": "true"}
    tile = await window.http.post(f"/gallery/{first[0]}/favourite", data=form, headers=headers)
    assert 'aria-pressed="true"' in tile.text
    await window.open("/gallery?favourite=1")
    assert re.findall(r'id="picture-([0-9a-f-]{36})"', window.page) == [first[0]]
    assert "saved=true&amp;favourite=true" in window.page


async def test_a_day_s_quota_is_said_with_the_words_kept(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, _ = await anna_with_photos(by_hand)
    await trained(by_hand, window)
    monkeypatch.setattr(type(by_hand.settings), "generations_per_member", property(lambda _: 1))
    await asked(by_hand, window, "by the sea")
    await window.send("/pictures", prompt="in the rain")
    assert window.status == 429
    assert "the most that this studio makes" in window.text
    assert ">in the rain</textarea>" in window.page


async def test_only_admins_see_the_components(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    await joined(by_hand, admin, ANNA)
    window = await signed_in(by_hand, ANNA)
    await window.open("/components")
    assert window.status == 403
    window = await signed_in(by_hand, ADMIN, "198.51.100.10")
    await window.open("/components")
    assert (window.status, window.title) == (200, "Components")
