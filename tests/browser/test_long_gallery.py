"""A gallery of very many pictures: the page stays small while it is scrolled, a flung wall asks for nothing that nobody
sees, and where it comes to rest every picture comes.
"""

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.running import Live
from tests.browser.windows import NO_WORKER, PHONE, Opens

PICTURES = 1200
MOST_TILES = 600
"""Ten pages of sixty; twenty are there."""
FILL = """insert into ai_images (user_id, id, generation_id, index, object_key, sha256, width, height, bytes, saved,
        words, created_at, tint, small_bytes)
    select %(member)s, gen_random_uuid(), gen_random_uuid(), 0, 'members/' || %(member)s || '/images/' || n || '.png',
        sha256(n::text::bytea), 192, 256, 600, true, 'by the sea', now() - n * interval '1 minute', 9074540, 300
    from generate_series(1, %(pictures)s) n"""
BROKEN = set(range(400, 600)) - {429}
"""What is too much at once is asked for again by itself."""
THERE = "() => [...document.querySelectorAll('#wall > ul')].reduce((sum, each) => sum + Number(each.dataset.count), 0)"
FLING = """(by) => { window.flung_ = requestAnimationFrame(function down() { scrollBy(0, by * innerHeight);
    window.flung_ = requestAnimationFrame(down); }); }"""
LAND = "() => cancelAnimationFrame(window.flung_)"
AT_THE_TOP = "() => scrollY === 0"
SEEN = """() => [...document.querySelectorAll('#wall img')].filter((each) => {
    const at = each.getBoundingClientRect();
    return at.bottom > 0 && at.top < innerHeight;
}).map((each) => each.currentSrc.startsWith('http') && each.complete && each.naturalWidth > 0)"""


def filled(live: Live, folder: Path) -> None:
    """So many saved pictures of the one member, each with its files: links to one."""
    with psycopg.connect(live.superuser_url) as conn:
        [(member,)] = conn.execute("select id from users").fetchall()
        conn.execute("set session_replication_role = replica")  # their generations are not entered
        conn.execute(FILL.encode(), {"member": member, "pictures": PICTURES})
    whole, small = folder / "whole.png", folder / "small.webp"
    for file in (whole, small):
        Image.new("RGB", (192, 256), (138, 119, 108)).save(file)
    images = live.settings.portraitist_home / "objects" / "members" / member / "images"
    images.mkdir(parents=True)
    for number in range(1, PICTURES + 1):
        os.link(whole, images / f"{number}.png")
        os.link(small, images / f"{number}-small.webp")


def until(page: Page, there: Callable[[], bool]) -> None:
    """Wait for it, half a minute at most."""
    for _ in range(600):
        if there():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come to that")


def all_in_sight(page: Page) -> bool:
    """Whether every picture on the screen has come, and there are some."""
    seen = page.evaluate(SEEN)
    return bool(seen) and all(seen)


def test_a_wall_flung_to_its_end_stays_small_and_shows_every_picture_where_it_rests(
    live: Live, window: Opens, tmp_path: Path
) -> None:
    anna = window(live.url, **PHONE, **NO_WORKER)
    steps.joins(anna, live.first_link(), "anna@example.org")
    filled(live, tmp_path)
    page, asked, failed = anna.page, list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/small") else None)
    page.on("response", lambda answer: failed.append(answer.url) if answer.status in BROKEN else None)
    anna.open("/gallery")
    page.evaluate(FLING, 1)
    until(page, lambda: page.evaluate(THERE) == PICTURES)
    page.evaluate(LAND)
    page.keyboard.press("End")
    until(page, lambda: all_in_sight(page))
    assert page.locator("#wall .picture").count() <= MOST_TILES
    asked.clear()
    page.evaluate(FLING, -3)
    until(page, lambda: page.evaluate(AT_THE_TOP))
    page.evaluate(LAND)
    assert len(asked) < PICTURES / 2, "what flew by was asked for"
    until(page, lambda: all_in_sight(page))
    expect(page.locator("#wall > ul").first.locator(".picture")).to_have_count(60)
    assert failed == []
