"""The pages in a real browser: how much script the first page brings, how soon something is seen, and a gallery of
100,000 pictures scrolled from its top to its end.

    python bench/web.py [--pictures N] [--read N] [--loads N] [--json FILE]

One web process on the loopback, a fresh Chromium window with an empty cache for each load; medians. Pictures are rows
with a file each (links to a few real ones). The first of them are scrolled as fast as eyes follow (two screens a
second) and each must come; the rest is flung past, a screen in each frame, and looked at where it comes to rest.
Targets in brackets; a request that fails or is not answered is dropped.
"""

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import throwaway

# isort: split
import httpx2
import psycopg
from playwright.sync_api import Browser, Page, Request, Response
from tests.browser import steps
from tests.browser.windows import DESK, PATIENCE_MS, Window, chromium
from tests.fakes.replicate_cloud import ReplicateCloud
from tests.fakes.serving import served as on_loopback
from tests.studio_database import APP_PASSWORD

from portraitist.engine.tiny.drawing import draw_selfies
from portraitist.kit.embedded_postgres import Server
from portraitist.kit.ports import free_port

EMAIL = "reader@example.org"
SIZE = (192, 256)  # as the embedded engine draws
KINDS = 8  # different pictures; each file is a link to one of them
TURN, TURN_MS = 0.25, 125  # screens of one turn of the wheel, and the time between two
MOST_S = 1200
GIVEN_UP = "net::ERR_ABORTED"
TOO_MANY = 429
MOST_QUIET = 400  # looks, 50 ms apart
THERE = "() => [...document.querySelectorAll('#wall > ul')].reduce((sum, each) => sum + Number(each.dataset.count), 0)"
FILL = """insert into ai_images (user_id, id, generation_id, index, object_key, sha256, width, height, bytes, saved,
        favourite, words, created_at, tint, small_bytes)
    select %(member)s, gen_random_uuid(), gen_random_uuid(), 0, 'members/' || %(member)s || '/images/' || n || '.png',
        sha256(n::text::bytea), 192, 256, 60000, true, n %% 20 = 0,
        'in a ' || (array['garden', 'library', 'harbour', 'forest', 'café'])[1 + n %% 5] || ', soft morning light',
        now() - n * interval '1 minute', 9074540, 9000
    from generate_series(1, %(pictures)s) n"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
NAVIGATION = """(() => { const times = performance.getEntriesByType('navigation')[0];
    return { answered: times.responseEnd, ready: times.domContentLoadedEventEnd }; })()"""
SEEN = """() => { let seen = 0, late = 0;
    for (const each of document.querySelectorAll('#wall img')) {
        const at = each.getBoundingClientRect();
        if (at.bottom <= 0 || at.top >= innerHeight) continue;
        seen += 1;
        if (each.dataset.src || !each.complete || !each.naturalWidth) late += 1;
    }
    return [seen, late]; }"""
FLING = """() => { window.flung_ = requestAnimationFrame(function down() { scrollBy(0, innerHeight);
    window.flung_ = requestAnimationFrame(down); }); }"""
LAND = "() => cancelAnimationFrame(window.flung_)"
MIDDLE = "() => scrollTo(0, document.documentElement.scrollHeight / 2)"
FRAMES = """() => { window.frames_ = []; let last = performance.now();
    const tick = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(tick); };
    requestAnimationFrame(tick); }"""
TARGETS = {
    "script of the first page, kB": 60.0,
    "first paint, s": 0.5,
    "gallery page, ms": 150.0,
    "dropped requests": 0.0,
}


@dataclass
class Studio:
    """The web process under test and its database."""

    url: str
    token: str
    home: Path
    superuser_url: str

    def first_link(self) -> str:
        """The one-time link to the first account."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return str(
            httpx2.post(f"{self.url}/api/v1/admin/first-link", headers=headers)
            .raise_for_status()
            .json()["url"]
        )

    def fill(self, pictures: int) -> None:
        """Enter so many saved pictures of the one member, a file for each, and its small copy."""
        with psycopg.connect(self.superuser_url) as conn:
            row = conn.execute("select id from users").fetchone()
            assert row is not None
            conn.execute("set session_replication_role = replica")  # their generations are not entered
            conn.execute(FILL.encode(), {"member": row[0], "pictures": pictures})
        with psycopg.connect(self.superuser_url, autocommit=True) as conn:
            conn.execute("analyze ai_images")
        folder = self.home / "objects" / "members" / row[0] / "images"
        folder.mkdir(parents=True)
        kinds = _files(self.home)
        for number in range(1, pictures + 1):
            whole, small = kinds[number % KINDS]
            os.link(whole, folder / f"{number}.png")
            os.link(small, folder / f"{number}-small.webp")


@dataclass
class Figures:
    """What was measured, by name; `dropped` names the requests that failed."""

    values: dict[str, float] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument(
        "--read", type=int, default=1_500, help="how many are scrolled as fast as eyes follow"
    )
    parser.add_argument("--loads", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    found = Figures()
    with throwaway.server() as running, served(running) as studio, chromium() as browser:
        first_page(browser, studio.url, options.loads, found)
        window = Window(browser.new_context(**DESK).new_page(), studio.url)
        steps.joins(window, studio.first_link(), EMAIL)
        studio.fill(options.pictures)
        cookies = window.page.context.cookies()
        first_page(browser, studio.url, options.loads, found, cookies=cookies)
        gallery_page(browser, studio.url, options.loads, found, cookies)
        scrolled(window, options.read, options.pictures, found)
    report(found, options.json)


@contextmanager
def served(running: Server) -> Iterator[Studio]:
    """The studio's web process on a fresh database."""
    name, port, token = throwaway.database(running, "web"), free_port(), secrets.token_hex(32)
    with tempfile.TemporaryDirectory() as home, on_loopback(ReplicateCloud()) as provider:
        settings = {
            "PORTRAITIST_HOME": home,
            "DATABASE_URL": running.url(name, "app", APP_PASSWORD),
            "STUDIO_PORT": str(port),
            "REPLICATE_BASE_URL": provider,
            "REPLICATE_API_TOKEN": "r8_token",
            "REPLICATE_USERNAME": "studio",
            "INSTANCE_TOKEN": token,
            "SECRET_KEY": secrets.token_hex(32),
        }
        web = subprocess.Popen([sys.executable, "-m", "portraitist.cli", "web"], env=os.environ | settings)
        studio = Studio(f"http://localhost:{port}", token, Path(home), running.url(name))
        try:
            _until_up(studio.url)
            yield studio
        finally:
            web.terminate()
            web.wait(30)


def first_page(
    browser: Browser, url: str, loads: int, found: Figures, *, cookies: list[Any] | None = None
) -> None:
    """Script in kilobytes as it travels, and the time to the first thing seen, of `/`."""
    paints, script, who = [], 0, "member" if cookies else "stranger"
    for _ in range(loads):
        page = _fresh(browser, cookies)
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        scripts: set[str] = set()
        sizes: dict[str, int] = {}
        line.on(
            "Network.responseReceived", lambda e, s=scripts: e["type"] == "Script" and s.add(e["requestId"])
        )
        line.on(
            "Network.loadingFinished", lambda e, s=sizes: s.update({e["requestId"]: e["encodedDataLength"]})
        )
        page.goto(url, wait_until="load")
        paints.append(_painted(page) / 1000)
        script = sum(size for request, size in sizes.items() if request in scripts)
        page.context.close()
    found.values[f"script of the first page, kB, {who}"] = script / 1000
    found.values[f"first paint, s, {who}"] = statistics.median(paints)
    found.values[f"first paint, s, {who}, longest"] = max(paints)


def _painted(page: Page) -> float:
    """Milliseconds to the first paint. Asked again and again: the studio's policy lets no page wait for a function."""
    while (painted := page.evaluate(PAINT)) is None:
        page.wait_for_timeout(5)
    return float(painted)


def gallery_page(browser: Browser, url: str, loads: int, found: Figures, cookies: list[Any]) -> None:
    """Milliseconds until the gallery's first page has come whole, is seen, and has all that it loads.

    Once in a new window that has nothing yet, and once as members come to it: from another page of the studio.
    """
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(loads):
        page = _fresh(browser, cookies)
        for how in ("a new window", "from another page"):
            page.goto(f"{url}/gallery", wait_until="load")
            times.setdefault((how, "first paint"), []).append(_painted(page))
            for what, value in page.evaluate(NAVIGATION).items():
                times.setdefault((how, what), []).append(value)
            page.goto(f"{url}/account", wait_until="load")
        page.context.close()
    for (how, what), values in times.items():
        found.values[f"gallery page, ms, {how}, {what}"] = statistics.median(values)


def scrolled(window: Window, read: int, pictures: int, found: Figures) -> None:
    """From the top of the wall to its end, and back to its middle; every request is watched."""
    page, kinds = window.page, Counter[str]()

    def counted(what: str) -> Callable[[Request], None]:
        """What is asked of the studio and ends: no empty pictures of a wall that flies, no live stream."""
        return lambda request: kinds.update([what] if _ends(request, window.url) else [])

    def failed(request: Request) -> None:
        if not _ends(request, window.url):
            return
        if request.failure == GIVEN_UP:
            kinds["given up"] += 1  # by the page itself: the picture was far away before it had come
        else:
            found.dropped.append(f"{request.url}: {request.failure}")

    page.on("request", counted("asked"))
    page.on("requestfinished", counted("answered"))
    page.on("requestfailed", failed)

    def answered(response: Response) -> None:
        if response.status == TOO_MANY:
            kinds["later"] += 1  # the page asks for it again by itself
        elif response.status >= 400:
            found.dropped.append(f"{response.url}: {response.status}")

    page.on("response", answered)
    window.open("/gallery")
    page.evaluate(FRAMES)
    _read(page, min(read, pictures), found)
    _flung(page, pictures, found)
    for _ in range(MOST_QUIET):  # what is still on its way
        if kinds["asked"] <= kinds["answered"] + kinds["given up"] + len(found.dropped):
            break
        page.wait_for_timeout(50)
    frames = page.evaluate("() => window.frames_")
    found.values["pictures scrolled"] = pictures
    found.values["requests"] = kinds["asked"]
    found.values["requests given up by the page"] = kinds["given up"]
    found.values["requests put off as too many at once"] = kinds["later"]
    unanswered = kinds["asked"] - kinds["answered"] - kinds["given up"] - len(found.dropped)
    found.values["dropped requests"] = len(found.dropped) + max(0, unanswered)
    found.values["frame, ms, median"] = statistics.median(frames)
    found.values["frame, ms, 99 %"] = statistics.quantiles(frames, n=100)[98]
    found.values["tiles in the page at the end"] = page.locator("#wall .picture").count()


def _ends(request: Request, url: str) -> bool:
    return request.url.startswith(url) and not request.url.endswith("/api/v1/events")


def _read(page: Page, pictures: int, found: Figures) -> None:
    """By the wheel, as fast as eyes follow; how many pictures were not there when they were in sight."""
    height = DESK["viewport"]["height"]
    page.mouse.move(DESK["viewport"]["width"] / 2, height / 2)
    began, seen, late = time.perf_counter(), 0, 0
    while page.evaluate(THERE) < pictures:
        page.mouse.wheel(0, TURN * height)
        page.wait_for_timeout(TURN_MS)
        in_sight, not_yet = page.evaluate(SEEN)
        seen, late = seen + in_sight, late + not_yet
        _in_time(began, page)
    found.values["seconds as fast as eyes follow"] = time.perf_counter() - began
    found.values["pictures late by then, %"] = 100 * late / max(1, seen)


def _flung(page: Page, pictures: int, found: Figures) -> None:
    """A screen in each frame, to the end; then to the middle at once. Where it rests, all pictures must come."""
    began = time.perf_counter()
    page.evaluate(FLING)
    while page.evaluate(THERE) < pictures:
        page.wait_for_timeout(250)
        _in_time(began, page)
    found.values["seconds flung"] = time.perf_counter() - began
    page.evaluate(LAND)
    page.keyboard.press("End")
    found.values["seconds until its end is seen"] = _rested(page)
    page.evaluate(MIDDLE)
    page.wait_for_timeout(50)
    found.values["seconds until its middle is seen"] = _rested(page)


def _rested(page: Page) -> float:
    """Seconds until every picture in sight has come."""
    began = time.perf_counter()
    while True:
        seen, late = page.evaluate(SEEN)
        if seen and not late:
            return time.perf_counter() - began
        page.wait_for_timeout(20)
        _in_time(began, page)


def _in_time(began: float, page: Page) -> None:
    if time.perf_counter() - began > MOST_S:
        raise SystemExit(f"only {page.evaluate(THERE)} pictures came")


def report(found: Figures, path: Path | None) -> None:
    """A line for each figure, with its target where it has one; then all of them as JSON."""
    for name, value in found.values.items():
        target = next((f"  [{most:g}]" for start, most in TARGETS.items() if name.startswith(start)), "")
        print(f"{name:<42} {value:>12,.2f}{target}")
    for each in found.dropped[:20]:
        print(f"dropped: {each}")
    text = json.dumps(found.values)
    print(text)
    if path is not None:
        path.write_text(text + "\n")


def _fresh(browser: Browser, cookies: list[Any] | None) -> Page:
    context = browser.new_context(**DESK)
    if cookies:
        context.add_cookies(cookies)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


def _files(home: Path) -> list[tuple[Path, Path]]:
    """A few real pictures, each with its small copy."""
    made = []
    for number, picture in enumerate(draw_selfies(7, KINDS)):
        whole, small = home / f"kind-{number}.png", home / f"kind-{number}.webp"
        picture.resize(SIZE).save(whole)
        picture.resize(SIZE).save(small)
        made.append((whole, small))
    return made


def _until_up(url: str) -> None:
    for _ in range(300):
        try:
            httpx2.get(f"{url}/healthz").raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("the web process does not come up")


if __name__ == "__main__":
    main()
