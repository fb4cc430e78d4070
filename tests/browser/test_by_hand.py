"""What hands do beside pressing: photos dropped onto the page, and pictures in full swiped from one to the next."""

import base64
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.browser import steps
from tests.browser.running import Live
from tests.browser.windows import DESK, PHONE, Opens, Window

CARRIED = """(files) => { const carried = new DataTransfer();
    for (const { name, data } of files) {
        const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
        carried.items.add(new File([bytes], name, { type: 'image/jpeg' }));
    }
    return carried; }"""


def drops(window: Window, files: list[Path]) -> None:
    """Lets go of these files over the tray for photos."""
    read = [{"name": each.name, "data": base64.b64encode(each.read_bytes()).decode()} for each in files]
    carried = window.page.evaluate_handle(CARRIED, read)
    for event in ("dragover", "drop"):
        window.page.dispatch_event("#tray", event, {"dataTransfer": carried})


def swipes(window: Window, start: int, end: int) -> None:
    """One finger from here to there, across the middle of the screen."""
    line = window.page.context.new_cdp_session(window.page)
    for kind, across in (("touchStart", start), ("touchMove", end)):
        line.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": across, "y": 300}]})
    line.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    line.detach()


def test_dropped_photos_are_judged_and_pictures_are_swiped_from_one_to_the_next(
    live: Live, window: Opens, photos: Callable[[str], list[Path]]
) -> None:
    desk = window(live.url, **DESK)
    steps.joins(desk, live.first_link(), "anna@example.org")
    steps.agrees(desk)
    drops(desk, photos("drawn"))
    expect(desk.page.locator("#coming .state.good")).to_have_count(10)
    steps.trains(desk)
    steps.sees_it_ready(desk)
    steps.asks(desk, "by the sea")

    phone = window(live.url, **PHONE)
    steps.signs_in(phone, "anna@example.org")
    pictures = phone.open("/gallery?all=1").page.locator("#wall a[data-file]")
    pictures.first.tap()
    viewer = phone.page.locator("#viewer")
    download = viewer.locator("[data-download]")
    files = [str(each.get_attribute("data-file")) for each in pictures.all()]
    for file, (start, end) in zip(
        files[1:] + files[1::-1], [(320, 60), (320, 60), (60, 320), (60, 320)], strict=True
    ):
        swipes(phone, start, end)
        expect(download).to_have_attribute("href", f"{file}?download=true")
    phone.page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
