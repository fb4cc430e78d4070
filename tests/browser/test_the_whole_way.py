"""From the first link to the receipt in a phone's browser, on real parts: with a training that is made.

The page is loaded anew and the web process killed in its middle. One installation as `portraitist up` starts it; the
training has few steps, because nobody looks at these pictures. At each station the same pages are kept as a desk shows
them.
"""

import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from portraitist.kit.embedded_postgres import EmbeddedPostgres
from tests.acceptance.harness import House
from tests.browser import steps
from tests.browser.windows import DESK, looked_at, opening, saved

pytestmark = pytest.mark.slow
STEPS = 60
"""Enough that a training still runs when the page is loaded anew and the web process has been killed."""
WITHIN_S = 300
STEP = re.compile(r"Step (\d+) of (\d+)")


@pytest.fixture
def house() -> Iterator[House]:
    """An installation that nobody used before."""
    folder = Path(tempfile.mkdtemp(prefix="portraitist-browser-"))
    folder.chmod(0o711)  # under root, PostgreSQL runs as another user who must pass through
    house = House(folder, steps=STEPS)
    yield house
    EmbeddedPostgres(house.home, state_root=house.state).stop()
    shutil.rmtree(folder)


def test_from_the_first_link_to_the_receipt_over_a_reload_and_a_killed_server(
    house: House, browser: Browser, photos: Callable[[str], list[Path]], tmp_path: Path, artefacts: Path
) -> None:
    with house.up() as up, opening(browser) as window:  # who looks on while it stops sees it go away
        assert up.first_link is not None
        anna = window(up.url.replace("127.0.0.1", "localhost"))
        desk = window(anna.url, **DESK)
        looked_at(desk, artefacts, "/sign-in")
        steps.joins(anna, up.first_link, "anna@example.org")
        desk.page.context.add_cookies(anna.page.context.cookies())  # type: ignore[arg-type]  # its own two types
        steps.agrees(anna)
        steps.adds(anna, photos("drawn"))
        steps.trains(anna)
        anna.reads(STEP, WITHIN_S)

        looked_at(desk, artefacts, "/photos", "/training")
        anna.page.reload()
        anna.reads(STEP)
        assert house.kill("web")
        steps.sees_it_ready(anna, WITHIN_S)
        for each in (anna, desk):
            each.problems.clear()  # that the server was away is told in the console too

        steps.asks(anna, "in a garden, soft morning light", WITHIN_S)
        anna.reads("Drawn by embedded tiny FLUX")
        steps.hearts(anna, 2)
        anna.press("Gallery", "link")
        expect(anna.pictures).to_have_count(2)
        with zipfile.ZipFile(saved(anna, "Zip of these", tmp_path)) as archive:
            kinds = [Path(name).suffix for name in archive.namelist()]
            assert kinds.count(".png") == 2
            assert any(
                "garden" in archive.read(name).decode()
                for name in archive.namelist()
                if name.endswith(".json")
            )

        looked_at(desk, artefacts, "/", "/pictures", "/gallery", "/account")

        steps.erases_everything(anna)
        assert house.sql("portraitist", "select id from users") == []
