"""The main journey with the keyboard alone: everything is reached by Tab, seen where the focus is, and done by Enter.

And what moves on the pages stands still for who asked their system for that.
"""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.running import Live
from tests.browser.windows import DESK, Opens, Window

MOST_TABS = 60
FOCUS = """() => { const here = document.activeElement, style = getComputedStyle(here);
    if (here === document.body) return { text: "", outlined: true };
    const label = here.matches("input[type=file]") ? getComputedStyle(here.labels[0]) : style;
    const told = [here.ariaLabel, here.labels?.[0]?.innerText, here.innerText, here.querySelector("img")?.alt];
    return { text: (told.find(Boolean) ?? "").trim(),
        outlined: label.outlineStyle !== "none" && parseFloat(label.outlineWidth) >= 2 } }"""

MOVING = "() => document.getAnimations().map((each) => each.animationName)"


def tab_to(page: Page, name: str) -> None:
    """Tab until what is called so has the focus; on the way the focus is always seen."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        assert focus["outlined"], f"nobody sees that the focus is on {focus['text']!r} at {page.url}"
        if focus["text"].startswith(name):
            return
    raise AssertionError(f"Tab does not reach {name!r} at {page.url}")


def goes(window: Window, name: str) -> None:
    """Tab there, then Enter."""
    tab_to(window.page, name)
    window.page.keyboard.press("Enter")


def test_the_whole_way_with_the_keyboard_alone(
    live: Live, window: Opens, photos: Callable[[str], list[Path]]
) -> None:
    anna = window(live.url, **DESK)
    page = anna.open(live.first_link()).page
    tab_to(page, "E-mail address")
    page.keyboard.type("anna@example.org")
    tab_to(page, "New password")
    page.keyboard.type(steps.PASSWORD)
    page.keyboard.press("Enter")
    anna.reads("First you read what happens with your photos.")
    goes(anna, "Begin")
    anna.reads("Before the first photo")
    goes(anna, "I agree")
    anna.reads("Your photos")
    with page.expect_file_chooser() as chosen:
        goes(anna, "Choose photos")
    chosen.value.set_files([str(each) for each in photos("astronaut")])
    expect(page.locator("#coming .state.good")).to_have_count(10, timeout=120_000)
    goes(anna, "Train your model")
    anna.reads("Train with 10 photos")
    goes(anna, "Train with 10 photos")
    steps.sees_it_ready(anna)
    goes(anna, "Make pictures")
    anna.reads("Where would you like to be seen?")
    tab_to(page, "Your idea, in words")
    page.keyboard.type("by the sea")
    goes(anna, "Make three pictures")
    expect(anna.pictures).to_have_count(3)
    goes(anna, "Save to the gallery")
    expect(anna.named("Saved to the gallery")).to_have_count(1)
    anna.open("/gallery?all=1")
    goes(anna, "by the sea")
    viewer = page.get_by_role("dialog")
    expect(viewer).to_be_visible()
    first = viewer.locator("img").get_attribute("src")
    page.keyboard.press("ArrowRight")
    expect(viewer.locator("img")).not_to_have_attribute("src", first or "")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()


def test_nothing_moves_for_who_asked_for_stillness(live: Live, window: Opens) -> None:
    anna = window(live.url, **DESK, reduced_motion="reduce")
    steps.joins(anna, live.first_link(), "anna@example.org")
    anna.open("/components")
    assert anna.page.evaluate(MOVING) == []
    anna.page.emulate_media(reduced_motion="no-preference")
    assert "looking" in anna.page.evaluate(MOVING)
