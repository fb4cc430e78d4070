"""Two members at once, each in a window of their own: what one makes the other never sees, by page or by address."""

from collections.abc import Callable
from pathlib import Path

from tests.browser import steps
from tests.browser.running import Live
from tests.browser.windows import Opens, Window
from tests.fakes.pictures import model_of


def drawn_by(window: Window) -> set[str]:
    """Whose models drew the pictures that the page shows: it stands in their pixels."""
    shown = {(image.get_attribute("src") or "").rpartition("/")[0] for image in window.pictures.all()}
    assert shown
    return {model_of(window.page.request.get(f"{window.url}{image}/file").body()) for image in shown}


def test_two_members_at_once_see_only_their_own(
    live: Live, window: Opens, photos: Callable[[str], list[Path]]
) -> None:
    anna, ben = window(live.url), window(live.url)
    steps.joins(anna, live.first_link(), "anna@example.org")
    live.operator("PUT", "/api/v1/admin/settings/sign_up", json={"value": "open"})
    steps.signs_up(ben, "ben@example.org")
    for each, person in ((anna, "astronaut"), (ben, "drawn")):
        steps.agrees(each)
        steps.adds(each, photos(person))
    for each in (anna, ben):
        steps.trains(each)
    for each in (anna, ben):
        steps.sees_it_ready(each)
    steps.asks(anna, "by the sea")
    steps.asks(ben, "in the mountains")
    steps.hearts(ben, 3)
    [(first,), (second,)] = live.rows("select id from users order by created_at")
    assert drawn_by(anna) == {f"studio/{first}-selfie-lora"}
    assert drawn_by(ben) == {f"studio/{second}-selfie-lora"}
    for path in ("/", "/photos", "/training", "/pictures", "/gallery?all=1"):
        assert "mountains" not in anna.open(path).page.content()
    for [src] in live.rows("select '/gallery/' || id from ai_images where user_id = %s", second):
        assert anna.page.request.get(f"{live.url}{src}").status == 404
