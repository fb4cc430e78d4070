"""A whole set on a phone: pictures come live, the rest is canceled at half, gone on with, and finished although the web
process and the worker are killed in its middle; then favourites by key, by tap and in full, and the gallery.

An installation as `portraitist up` starts it, on the fake provider, which lets through so many files as the test says.
"""

import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from portraitist.kit.embedded_postgres import EmbeddedPostgres
from tests.acceptance.harness import House, cloud_at
from tests.browser import steps
from tests.browser.windows import Window, opening
from tests.fakes.serving import served
from tests.integration.cloud import MoodyCloud

SHOTS, PICTURES = 8, 24
ENOUGH_FOR_ONE = 7
"""Files of three shots at once, of which at least one, and at most two, are whole then."""
BRISK = {
    "POLL_SECONDS": "0.2",
    "SWEEP_SECONDS": "0.1",
    "LEASE_SECONDS": "2",
    "LIST_LAG_SECONDS": "0.5",
    "RETRY_SECONDS": "1",
    "HEARTBEAT_SECONDS": "0.5",
    "STALLED_AFTER_SECONDS": "3",
}
"""Nobody waits for the clock."""


class Door:
    """Where finished pictures leave the provider, one after the other, as many as are let through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = 0
        self._open = True

    def lets(self, files: int) -> None:
        """So many more, then none."""
        with self._lock:
            self._left, self._open = files, False

    def opens(self) -> None:
        """All that come."""
        with self._lock:
            self._open = True

    def __call__(self) -> bool:
        with self._lock:
            if not self._open:
                self._left -= 1
            return self._open or self._left >= 0


@pytest.fixture
def house() -> Iterator[House]:
    """An installation that nobody used before."""
    folder = Path(tempfile.mkdtemp(prefix="portraitist-browser-"))
    folder.chmod(0o711)  # under root, PostgreSQL runs as another user who must pass through
    house = House(folder)
    yield house
    EmbeddedPostgres(house.home, state_root=house.state).stop()
    shutil.rmtree(folder)


def kept(window: Window, folder: Path, name: str) -> None:
    """The whole page as it is now, to be looked at."""
    window.page.screenshot(path=folder / f"{name}.png", full_page=True)


def starred(window: Window) -> Locator:
    """Favourites on the sheet."""
    return window.page.locator("#wall [formaction$='/favourite'][aria-pressed=true]")


def picks(window: Window) -> None:
    """Four favourites: two with keys, one by tapping its star, one in full."""
    links = window.page.locator("#wall .picture a[data-file]")
    links.first.focus()
    window.page.keyboard.press("f")
    expect(starred(window)).to_have_count(1)
    window.page.keyboard.press("ArrowDown")
    window.page.keyboard.press("f")
    expect(starred(window)).to_have_count(2)
    window.page.locator("#wall .picture").nth(7).get_by_role("button", name="Favourite").tap()
    expect(starred(window)).to_have_count(3)
    links.nth(10).tap()
    viewer = window.page.get_by_role("dialog")
    viewer.get_by_role("button", name="Favourite").tap()
    expect(starred(window)).to_have_count(4)
    viewer.get_by_role("button", name="Close").tap()
    expect(viewer).to_be_hidden()


def test_a_set_canceled_at_half_is_finished_over_killed_processes_and_picked_from(
    house: House, browser: Browser, photos: Callable[[str], list[Path]], tmp_path: Path
) -> None:
    cloud, door = MoodyCloud(), Door()
    cloud.may_download = door
    with served(cloud) as provider:
        house.environ |= cloud_at(cloud, provider) | BRISK
        with house.up() as up, opening(browser) as window:  # who looks on while it stops sees it go away
            assert up.first_link is not None
            anna = window(up.url.replace("127.0.0.1", "localhost"))
            steps.joins(anna, up.first_link, "anna@example.org")
            steps.agrees(anna)
            steps.adds(anna, photos("drawn"))
            steps.trains(anna)
            steps.sees_it_ready(anna)

            anna.open("/photoshoot")
            kept(anna, tmp_path, "1-collections")
            anna.press("Travel", "link")
            kept(anna, tmp_path, "2-collection")
            door.lets(ENOUGH_FOR_ONE)
            anna.press("Shoot the whole set")
            expect(anna.pictures).not_to_have_count(0)
            kept(anna, tmp_path, "3-coming")

            anna.press("Cancel the rest")
            anna.reads("The rest is canceled.")
            door.opens()
            canceled = anna.page.locator(".take", has_text="canceled")
            left = canceled.count()
            assert SHOTS // 2 - 1 <= left <= SHOTS // 2 + 1
            expect(anna.pictures).to_have_count(PICTURES - 3 * left)
            kept(anna, tmp_path, "4-canceled")

            door.lets(ENOUGH_FOR_ONE)
            anna.press("Shoot what is missing")
            expect(anna.pictures).not_to_have_count(PICTURES - 3 * left)
            assert house.kill("web") and house.kill("worker")
            door.opens()
            anna.reads("All of it is here.")  # without a reload
            expect(anna.pictures).to_have_count(PICTURES)
            anna.problems.clear()  # that the server was away is told in the console too

            picks(anna)
            kept(anna, tmp_path, "5-picked")
            anna.open("/gallery")
            expect(anna.pictures).to_have_count(4)
            kept(anna, tmp_path, "6-gallery")

            drawn = Counter(run.shown["input"]["prompt"] for run in cloud.predictions())
            assert len(drawn) == SHOTS and set(drawn.values()) == {1}
            assert house.sql("portraitist", "select count(distinct sha256), count(*) from ai_images") == [
                (PICTURES, PICTURES)
            ]
            assert house.sql("portraitist", "select count(*) from ai_images where favourite and saved") == [
                (4,)
            ]
