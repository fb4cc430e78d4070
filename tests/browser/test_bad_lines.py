"""Slow and broken lines: every action says what became of it, nothing is lost, and it can be repeated."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.browser import steps
from tests.browser.running import Live
from tests.browser.windows import NO_WORKER, PHONE, Opens

WORDS = "by the sea, in the wind"
MOST_PAUSES = 100


def test_what_a_broken_line_swallowed_is_said_and_done_again(
    live: Live, window: Opens, photos: Callable[[str], list[Path]]
) -> None:
    anna = window(live.url, **PHONE, **NO_WORKER)
    steps.joins(anna, live.first_link(), "anna@example.org")
    steps.agrees(anna)
    steps.adds(anna, photos("drawn"))
    steps.trains(anna)
    steps.sees_it_ready(anna)
    anna.open("/pictures")
    anna.fill("Your idea, in words", WORDS)
    anna.page.context.set_offline(True)
    anna.press("Make three pictures")
    anna.reads("The studio can't be reached.")
    expect(anna.page.get_by_label("Your idea, in words")).to_have_value(WORDS)
    anna.page.context.set_offline(False)
    anna.press("Make three pictures")
    expect(anna.pictures).to_have_count(3)
    expect(anna.page.locator("#ideas[data-live]")).to_have_count(0)  # nothing renews the page any more
    anna.page.context.set_offline(True)
    anna.press("Save to the gallery")
    anna.reads("The studio can't be reached.")
    anna.page.context.set_offline(False)
    anna.problems.clear()  # that the line was broken is told in the console too
    steps.hearts(anna)
    assert live.rows("select count(*) from generation_trackers") == [(1,)]
    assert live.rows("select count(*) from ai_images where saved") == [(1,)]


def test_a_photo_whose_line_broke_is_sent_on_by_its_button(
    live: Live, window: Opens, photos: Callable[[str], list[Path]]
) -> None:
    anna = window(live.url, **PHONE, **NO_WORKER)
    steps.joins(anna, live.first_link(), "anna@example.org")
    steps.agrees(anna)
    anna.page.route("**/api/v1/uploads/**", lambda route: route.abort())
    anna.page.clock.install()  # the page's own pauses before it tries again
    with anna.page.expect_file_chooser() as chosen:
        anna.page.get_by_text("Choose photos").click()
    chosen.value.set_files([str(photos("drawn")[0])])
    broken = anna.page.get_by_text("It did not arrive: the line is broken.")
    for _ in range(MOST_PAUSES):
        if broken.count():
            break
        anna.page.clock.run_for(10_000)
        anna.page.wait_for_timeout(100)
    expect(broken).to_be_visible()
    anna.problems.clear()  # that the line was broken is told in the console too
    anna.page.unroute("**/api/v1/uploads/**")
    anna.press("Try again")
    expect(anna.page.locator("#coming .state.good")).to_have_count(1)
