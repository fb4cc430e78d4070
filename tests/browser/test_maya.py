"""An idea told to Maya on a phone: her model is down and the words are kept, then cards, previews live in the message,
on a second device too, and a heart that saves. Without a model of hers, the look book has the cards.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from portraitist.kit.embedded_postgres import Server
from tests.browser import steps
from tests.browser.running import Live, elsewhere, live_studio
from tests.browser.windows import DESK, Opens, Window
from tests.fakes.llm_server import ScriptedModel, answer, out_of_order
from tests.fakes.serving import served
from tests.studio_database import OWNER, migrated

IDEA = "somewhere with books"
REPLY = "Books suit you. I have three places in mind."


def ready_for_pictures(window: Opens, live: Live, photos: list[Path]) -> Window:
    """A member whose model is trained."""
    anna = window(live.url)
    steps.joins(anna, live.first_link(), "anna@example.org")
    steps.agrees(anna)
    steps.adds(anna, photos)
    steps.trains(anna)
    steps.sees_it_ready(anna)
    return anna


def test_from_an_idea_to_a_saved_picture(
    postgres: Server,
    make_template: Callable[..., str],
    make_database: Callable[..., str],
    tmp_path: Path,
    window: Opens,
    photos: Callable[[str], list[Path]],
) -> None:
    name = "studio_template"
    template = make_template(name, lambda url: elsewhere(lambda: migrated(postgres, name, url)))
    database = make_database(template=template, owner=OWNER)
    model = ScriptedModel([out_of_order(), answer(REPLY)], piece=6, pause_s=0.02)
    with served(model) as url:
        configured: dict[str, Any] = {
            "maya_model": "openai-chat:scripted",
            "maya_api_key": "none",
            "maya_url": f"{url}/v1",
        }
        with live_studio(postgres, database, tmp_path / "home", **configured) as live:
            anna = ready_for_pictures(window, live, photos("drawn"))
            anna.open("/maya")
            anna.fill("Your message to Maya", IDEA)
            anna.press("Send")
            anna.reads("Maya can't be reached just now.")
            assert all(" 503 of " in problem for problem in anna.problems), anna.problems
            anna.problems.clear()
            anna.reads(IDEA)
            anna.press("Try again")
            anna.reads(REPLY)
            anna.reads("Between the shelves")
            desk = window(live.url, **DESK)
            steps.signs_in(desk, "anna@example.org")
            desk.open("/maya")
            anna.press("Three previews: The bridge")
            for each in (anna, desk):
                expect(each.page.locator(".concept .wall img")).to_have_count(3)
            anna.page.reload()
            expect(anna.page.locator(".concept .wall img")).to_have_count(3)
            steps.hearts(anna)
            anna.fill("Your message to Maya", "thank you")
            anna.press("Send")
            expect(anna.page.get_by_text(REPLY)).to_have_count(2)
            anna.open("/gallery")
            expect(anna.pictures).to_have_count(1)
            assert "half-body" not in anna.page.content()


def test_without_a_model_of_hers_the_look_book_has_cards(
    live: Live, window: Opens, photos: Callable[[str], list[Path]], artefacts: Path
) -> None:
    anna = ready_for_pictures(window, live, photos("drawn"))
    anna.open("/maya")
    anna.fill("Your message to Maya", IDEA)
    anna.press("Send")
    cards = anna.page.get_by_role("button", name="Three previews:")
    expect(cards.nth(2)).to_be_visible()
    cards.first.tap()
    expect(anna.page.locator(".concept .wall img")).to_have_count(3)
    anna.page.screenshot(path=artefacts / "maya-look-book.png", full_page=True)
    steps.hearts(anna)
    anna.open("/gallery")
    expect(anna.pictures).to_have_count(1)
    anna.open("/maya/style")
    anna.reads("look book")
