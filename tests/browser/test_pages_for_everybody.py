"""Every page of the route table, at 360 px, in light and dark: WCAG 2.2 AA by axe, and nothing that scrolls sideways.

Seen by a member who has everything, by an admin who has nothing yet, and by a stranger.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from portraitist.kit.embedded_postgres import Server
from portraitist.studio import app
from tests.browser import axe, steps
from tests.browser.pages import Place, places
from tests.browser.running import Live, elsewhere, live_studio
from tests.browser.windows import NO_WORKER, SMALLEST, Opens, Window
from tests.integration.people import ADMIN
from tests.security.full_members import FullMember, filled
from tests.security.parameters import IDS
from tests.studio_database import migrated

EMPTY = {"/", "/photos", "/training", "/pictures", "/gallery", "/notices", "/maya", "/photoshoot"}
"""Pages that look different to who has nothing yet."""


@dataclass(frozen=True)
class Full:
    """A studio in which nothing moves, its pages, and a member who has everything."""

    live: Live
    member: FullMember
    places: list[Place]


@pytest.fixture(scope="module")
def full(
    postgres: Server, make_template: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Full]:
    folder, members = tmp_path_factory.mktemp("full"), []

    def fill(url: str) -> None:
        elsewhere(lambda: migrated(postgres, "full_for_browsers", url))
        members.extend(elsewhere(lambda: filled(postgres, "full_for_browsers", folder)))

    database = make_template("full_for_browsers", fill)
    with live_studio(postgres, database, folder / "home", works=False) as live:
        ids = {
            name: [row[0] for row in live.rows(query, *[members[0].id] * query.count("%s"))]
            for name, query in IDS.items()
        }
        yield Full(live, members[0], list(places(app.create(live.settings), ids)))


def complaints(window: Window, seen: Iterable[Place]) -> dict[str, list[str]]:
    """What is wrong with each page that this window is shown; parts of pages and files are passed over."""
    found = {}
    for place in seen:
        answer = window.page.request.get(f"{window.url}{place.path}", headers={"Accept": "text/html"})
        if "<html" not in answer.text():
            continue
        window.open(place.path)
        wrong = [*axe.overflow(window.page), *axe.violations(window.page)]
        if answer.status != place.status:
            wrong.append(f"answers {answer.status}: {window.title}")
        if wrong:
            found[place.path] = wrong
    return found


def test_a_member_who_has_everything_can_use_every_page(full: Full, window: Opens) -> None:
    here = window(full.live.url, **SMALLEST, **NO_WORKER)
    name, _, value = dict(full.member.headers)["cookie"].partition("=")
    here.page.context.add_cookies([{"name": name, "value": value, "url": full.live.url}])
    assert complaints(here, (each for each in full.places if each.of_members)) == {}


def test_a_picture_in_full_has_all_its_buttons_on_the_smallest_screen(full: Full, window: Opens) -> None:
    here = window(full.live.url, **SMALLEST, **NO_WORKER)
    name, _, value = dict(full.member.headers)["cookie"].partition("=")
    here.page.context.add_cookies([{"name": name, "value": value, "url": full.live.url}])
    here.open("/gallery?all=1").page.locator("#wall a[data-file]").first.click()
    buttons = here.page.locator("#viewer .button")
    expect(buttons).to_have_count(7)
    for button in buttons.all():
        box = button.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= SMALLEST["viewport"]["width"]


def test_an_admin_who_has_nothing_yet_can_use_theirs_and_the_empty_ones(full: Full, window: Opens) -> None:
    here = window(full.live.url, **SMALLEST, **NO_WORKER)
    steps.signs_in(here, ADMIN)
    assert complaints(here, (each for each in full.places if each.for_admins or each.path in EMPTY)) == {}


def test_a_stranger_can_use_every_page_that_is_shown_to_them(full: Full, window: Opens) -> None:
    here = window(full.live.url, **SMALLEST, **NO_WORKER)
    assert complaints(here, (each for each in full.places if each.public)) == {}


def test_axe_sees_what_a_careless_page_does(full: Full, window: Opens) -> None:
    page = window(full.live.url, **SMALLEST, **NO_WORKER).open("/").page
    page.evaluate(
        """() => document.querySelector("main").insertAdjacentHTML("beforeend", `<img src="/static/icon.svg">
            <input><p class="lede"><button></button></p><pre>${"wide ".repeat(200)}</pre>`)"""
    )
    rules = {each.partition(":")[0] for each in axe.violations(page)}
    assert {"image-alt", "label", "button-name"} <= rules
    assert axe.overflow(page)
