"""One Chromium for each module, and windows that may not meet a problem. Studios are each module's own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from portraitist.kit.embedded_postgres import Server
from tests.browser.running import Live, elsewhere, live_studio
from tests.browser.windows import Opens, chromium, opening
from tests.photos import astronaut_selfies, drawn_selfies
from tests.studio_database import OWNER, migrated


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its module: while it runs, no other event loop can in this thread."""
    with chromium() as running:
        yield running


@pytest.fixture
def window(browser: Browser) -> Iterator[Opens]:
    """Opens windows, each with cookies of its own."""
    with opening(browser) as opens:
        yield opens


@pytest.fixture
def live(
    postgres: Server, make_template: Callable[..., str], make_database: Callable[..., str], tmp_path: Path
) -> Iterator[Live]:
    """A studio that nobody used before, with a worker and the fake Replicate."""
    name = "studio_template"
    template = make_template(name, lambda url: elsewhere(lambda: migrated(postgres, name, url)))
    with live_studio(postgres, make_database(template=template, owner=OWNER), tmp_path / "home") as running:
        yield running


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept that people look at: ARTEFACTS, or among the tests' own files."""
    given = os.environ.get("ARTEFACTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Path]]:
    """Ten good photos of one of two people: a real one ("astronaut"), or a drawn one."""
    made: dict[str, list[Path]] = {}

    def of(person: str) -> list[Path]:
        if person not in made:
            draw = astronaut_selfies if person == "astronaut" else drawn_selfies
            made[person] = draw(tmp_path_factory.mktemp("photos") / person, 10)
        return made[person]

    return of
