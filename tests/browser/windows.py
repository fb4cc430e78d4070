"""A window of a real browser, used as people do: by what is read on the page. What goes wrong in it is noted.

Elements are found by role and name, as a screen reader tells them; a page that hides them from one fails here.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, expect, sync_playwright

from tests.not_run import MARK

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "locale": "en-GB",
}
SMALLEST: dict[str, Any] = PHONE | {"viewport": {"width": 360, "height": 740}}
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}, "locale": "en-GB"}
NO_WORKER: dict[str, Any] = {"service_workers": "block"}
"""For tests that stand between a page and the studio: what a service worker asks for can't be held up."""
PATIENCE_MS = 60_000
SERVER_FAILED = 500


@contextmanager
def chromium() -> Iterator[Browser]:
    """This machine's Chromium, for as long as the block; a test without one is among those NOT RUN."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"{MARK}no browser here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield browser
        browser.close()


@dataclass
class Window:
    """One window with cookies of its own, on one studio."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)
    """Errors of scripts and styles, refused by the policy or thrown, and answers that say the server failed."""

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.problems.append(f"{self.page.url}: {error}"))
        self.page.on("response", self._answered)

    def open(self, path: str) -> "Window":
        """Look at a page."""
        self.page.goto(path if "://" in path else f"{self.url}{path}")
        return self

    def press(self, name: str | re.Pattern[str], role: Any = "button") -> None:
        """Press the first that is called so."""
        self.named(name, role).first.click()

    def named(self, name: str | re.Pattern[str], role: Any = "button") -> Locator:
        """Everything of this role that is called so."""
        return self.page.get_by_role(role, name=name)

    def fill(self, label: str, text: str) -> None:
        """Type into the field of this label."""
        self.page.get_by_label(label, exact=True).fill(text)

    def reads(self, text: str | re.Pattern[str], within_s: float = PATIENCE_MS / 1000) -> None:
        """Wait until this can be read."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=within_s * 1000)

    @property
    def title(self) -> str:
        """The first heading."""
        return self.page.locator("h1").first.inner_text()

    @property
    def pictures(self) -> Locator:
        """Every picture that the studio has made and this page shows, small or whole."""
        return self.page.locator("img[src^='/api/v1/images/']")

    def close(self) -> None:
        """Shut the window and forget its cookies."""
        self.page.context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        # A refused request is told twice; what it meant stands in its answer.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(f"{self.page.url}: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= SERVER_FAILED:
            self.problems.append(f"{self.page.url}: {response.status} of {response.url}")


Opens = Callable[..., Window]
"""Opens a window on a studio's address; further arguments are the device's (`PHONE`, …)."""


@contextmanager
def opening(browser: Browser) -> Iterator[Opens]:
    """Opens windows; at the end none of them may have met a problem."""
    opened: list[Window] = []

    def window(url: str, **device: Any) -> Window:
        context = browser.new_context(**(device or PHONE))
        opened.append(Window(context.new_page(), url))
        return opened[-1]

    yield window
    for each in opened:
        each.close()
    problems = [problem for each in opened for problem in each.problems]
    assert not problems, problems


def looked_at(window: Window, folder: Path, *paths: str) -> None:
    """Whole pages as this window shows them, kept as files that people look at."""
    for path in paths:
        window.open(path)
        for image in window.page.locator("img[loading=lazy]").all():
            image.scroll_into_view_if_needed()
        name = path.strip("/").replace("/", "-") or "home"
        window.page.screenshot(path=folder / f"{name}.png", full_page=True)


def saved(window: Window, press: str, folder: Path) -> Path:
    """The file that a press brings."""
    with window.page.expect_download() as coming:
        window.press(press, "link")
    path = folder / coming.value.suggested_filename
    coming.value.save_as(path)
    return path
