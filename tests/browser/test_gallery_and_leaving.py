"""Hearts, the gallery, its zip and the erasure in a phone's browser, on the fake provider; nothing moves on the way.

The same on the embedded engine, from the very beginning, is in `test_the_whole_way`.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.browser import steps
from tests.browser.running import Live
from tests.browser.windows import NO_WORKER, PHONE, Opens, saved

SHIFTS = """() => new Promise((done) => { const seen = [];
    const watch = new PerformanceObserver((list) => seen.push(...list.getEntries()));
    watch.observe({ type: "layout-shift", buffered: true });
    setTimeout(() => done(seen.filter((each) => !each.hadRecentInput).reduce((sum, each) => sum + each.value, 0)), 300);
})"""
MOST_SHIFT = 0.02
"""A fifth of what counts as good; toasts and the like may move a little."""


def test_hearts_gallery_zip_and_erasure_with_a_receipt(
    live: Live, window: Opens, photos: Callable[[str], list[Path]], tmp_path: Path
) -> None:
    anna = window(live.url, **PHONE, **NO_WORKER)
    steps.joins(anna, live.first_link(), "anna@example.org")
    steps.agrees(anna)
    steps.adds(anna, photos("drawn"))
    steps.trains(anna)
    steps.sees_it_ready(anna)
    steps.asks(anna, "by the sea")
    steps.hearts(anna, 2)

    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    anna.page.route("**/small", hold)  # the page comes before its pictures
    anna.page.goto(f"{anna.url}/gallery", wait_until="domcontentloaded")
    expect(anna.pictures).to_have_count(2)
    for each in held:
        each.continue_()
    anna.page.unroute("**/small")
    assert anna.page.evaluate(SHIFTS) <= MOST_SHIFT

    anna.press("Favourite")
    anna.reads("It is one of your favourites.")
    expect(anna.page.locator("#wall [aria-pressed=true]")).to_have_count(1)
    anna.press("Delete")
    anna.press("Undo")
    anna.reads("The picture is back.")
    expect(anna.pictures).to_have_count(2)

    with zipfile.ZipFile(saved(anna, "Zip of these", tmp_path)) as archive:
        names = archive.namelist()
        assert len([name for name in names if name.endswith(".png")]) == 2
        [about] = [name for name in names if name.endswith(".json")]
        assert "by the sea" in archive.read(about).decode()

    steps.erases_everything(anna)
    assert live.rows("select id from users") == []
