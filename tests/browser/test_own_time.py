"""Times on the pages are those of the clock beside the screen: the browser's zone, whichever page was opened first."""

import re

from playwright.sync_api import expect

from tests.browser import steps
from tests.browser.running import Live
from tests.browser.windows import DESK, Opens, Window

AT = re.compile(r"\b(\d\d):\d\d:\d\d( UTC)?")


def last_seen(window: Window) -> tuple[int, str]:
    """Hour and zone as the list of sessions says it, of the window's own session."""
    hint = window.open("/account/sign-in").page.get_by_text(re.compile(r"^Last seen")).first
    found = AT.search(hint.inner_text())
    assert found, hint.inner_text()
    return int(found[1]), found[2] or ""


def test_two_windows_of_one_member_show_the_hours_of_their_own_zones(live: Live, window: Opens) -> None:
    east = window(live.url, **DESK, timezone_id="Asia/Kolkata")
    steps.joins(east, live.first_link(), "anna@example.org")
    west = window(live.url, **DESK, timezone_id="America/Phoenix")
    steps.signs_in(west, "anna@example.org")
    plain = window(live.url, **DESK, java_script_enabled=False)
    steps.signs_in(plain, "anna@example.org")
    (there, no_zone), (here, _), (utc, named) = last_seen(east), last_seen(west), last_seen(plain)
    assert (no_zone, named) == ("", " UTC")
    assert (there - utc) % 24 in (5, 6), "five hours and a half before UTC"
    assert (here - utc) % 24 in (16, 17), "seven hours behind it, or an hour has just begun"
    expect(east.page.get_by_text("UTC")).to_have_count(0)
