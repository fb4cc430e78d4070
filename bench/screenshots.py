"""Screenshots of the real studio: two members join by its pages, one model is really trained, and the embedded engine
draws what is seen. Every main page, at desktop and phone size, in light and in dark.

    python bench/screenshots.py [--home FOLDER] [--all FOLDER]

Writes docs/screenshots, what the README shows; --all writes every page besides. The first run trains a model (about
four minutes); with --home the installation is kept, and later runs use it. The first member is scikit-image's astronaut
(Eileen Collins, by NASA, public domain), the second, whose photos are judged, a drawn person.
"""

import argparse
import io
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx2
from PIL import Image
from playwright.sync_api import Browser, expect
from playwright.sync_api import Error as BrowserError
from tests.acceptance.harness import House, Up
from tests.browser import steps
from tests.browser.windows import DESK, PHONE, Window, chromium
from tests.photos import astronaut_selfies, drawn_selfies, write

from portraitist.kit.embedded_postgres import EmbeddedPostgres

PUBLISHED = Path(__file__).parents[1] / "docs" / "screenshots"
EMAIL = "eileen@example.org"
OTHER = 11
"""Identity of the drawn person."""
IDEAS = (
    "in a library, warm lamp light",
    "in a garden, soft morning light",
    "close-up, black and white",
    "on a beach, golden light",
)
TOLD = "I need a portrait for my website, somewhere with books"
COLLECTION = "studio-headshots"
ALBUM = "For the website"
HEARTS, STARS = (0, 1, 3, 4, 5, 6, 7, 9, 10, 11), (0, 4)
"""Which of the pictures, newest first, are saved, and which of the saved are favourites."""
TRAINS_S, DRAWS_S = 1200, 240
SHOTS_OF_A_SET = 24
LARGEST = 150_000  # bytes of one file
SIZES = {"desk": DESK, "phone": PHONE | {"device_scale_factor": 2}}
SCHEMES = ("light", "dark")
README = {
    ("gallery", "desk", "light"),
    ("pictures", "desk", "dark"),
    ("maya", "phone", "light"),
    ("training-live", "phone", "light"),
    ("photoshoot-set", "phone", "dark"),
}
PAGES = {
    "home": "/",
    "photos": "/photos",
    "training": "/training",
    "pictures": "/pictures",
    "gallery": "/gallery",
    "gallery-all": "/gallery?all=1",
    "gallery-nothing": "/gallery?all=1&q=nothing",
    "albums": "/gallery/albums",
    "maya": "/maya",
    "maya-style": "/maya/style",
    "photoshoot": "/photoshoot",
    "photoshoot-collection": f"/photoshoot/{COLLECTION}",
    "notices": "/notices",
    "account": "/account",
    "account-sign-in": "/account/sign-in",
    "account-tokens": "/account/tokens",
    "account-data": "/account/data",
    "account-activity": "/account/activity",
    "account-erase": "/account/erase",
    "admin": "/admin",
    "admin-members": "/admin/members",
    "admin-usage": "/admin/usage",
    "admin-health": "/admin/health",
    "admin-settings": "/admin/settings",
    "admin-oversight": "/admin/oversight",
    "admin-events": "/admin/events",
    "components": "/components",
}


@dataclass(frozen=True)
class Camera:
    """Takes what a window shows, and publishes what the README shows of it."""

    browser: Browser
    url: str
    folder: Path | None

    def window(self, size: str, cookies: list[Any] | None = None) -> Window:
        """A window of this size."""
        context = self.browser.new_context(**SIZES[size])
        if cookies:
            context.add_cookies(cookies)
        return Window(context.new_page(), self.url)

    def takes(self, window: Window, name: str, *, whole: bool = True) -> None:
        """The page in light and dark; `whole`: with what is below the screen."""
        viewport = window.page.viewport_size
        size = next(each for each, device in SIZES.items() if device["viewport"] == viewport)
        for scheme in SCHEMES:
            window.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            _settle(window)
            if (name, size, scheme) in README:
                PUBLISHED.mkdir(exist_ok=True)
                publish(window.page.screenshot(), PUBLISHED / f"{name}.webp")
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                window.page.screenshot(path=self.folder / f"{name}-{size}-{scheme}.png", full_page=whole)


def main() -> None:
    """Make the screenshots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, help="keep the installation here, or use the one that was kept")
    parser.add_argument("--all", type=Path, help="a folder for every page at every size")
    options = parser.parse_args()
    with installation(options.home) as house, house.up() as up, chromium() as browser:
        camera = Camera(browser, up.url.replace("127.0.0.1", "localhost"), options.all)
        cookies = prepared(camera, house, up)
        stranger(camera)
        for size in SIZES:
            window = camera.window(size, cookies)
            member(camera, window, house)
            window.close()
        newcomer(camera, house, up)


@contextmanager
def installation(kept: Path | None) -> Iterator[House]:
    """A studio on its embedded parts, with the engine's own number of steps."""
    folder = kept or Path(tempfile.mkdtemp(prefix="portraitist-shots-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # under root, PostgreSQL runs as another user who must pass through
    house = House(folder)
    del house.environ["ENGINE_MAX_STEPS"]
    try:
        yield house
    finally:
        EmbeddedPostgres(house.home, state_root=house.state).stop()
        if kept is None:
            shutil.rmtree(folder)


def prepared(camera: Camera, house: House, up: Up) -> list[Any]:
    """The first member, with a model, pictures, an album, a conversation and a set; what is there stays as it is.

    Returns their window's cookies.
    """
    window = camera.window("desk")
    if up.first_link is None:
        steps.signs_in(window, EMAIL)
    else:
        steps.joins(window, up.first_link, EMAIL)
        steps.agrees(window)
        steps.adds(window, astronaut_selfies(house.folder / "eileen"))
        steps.trains(window)
        steps.sees_it_ready(window, TRAINS_S)
    _asks_maya(window, house)
    _shoots(window, house)
    _draws(window, house)
    cookies: list[Any] = window.page.context.cookies()
    window.close()
    return cookies


def _count(house: House, what: str) -> int:
    """How many there are of the rows that this SQL names."""
    [(count,)] = house.sql("portraitist", f"select count(*) from {what}")
    return int(count)


def _draws(window: Window, house: House) -> None:
    """By words; saves most of them, favours two, and puts three into an album."""
    if _count(house, "albums"):
        return
    for idea in IDEAS:
        window.open("/pictures")
        window.fill("Your idea, in words", idea)
        window.press("Make three pictures")
        newest = window.page.locator(".ideas", has=window.page.get_by_role("heading", name=idea)).first
        expect(newest.locator("img")).to_have_count(3, timeout=DRAWS_S * 1000)
    window.open("/pictures")
    for number in HEARTS:
        heart = window.page.locator(".ideas .marks button").nth(number)
        heart.click()
        expect(heart).to_have_attribute("aria-pressed", "true")
    window.open("/gallery")
    for number in STARS:
        window.named("Favourite").nth(number).click()
    for number in (0, 2, 4):
        window.page.get_by_label("Choose", exact=True).nth(number).check()
    window.page.locator("#chosen summary").click()
    window.fill("Name of a new album", ALBUM)
    window.press("Put in")
    window.reads(ALBUM)


def _asks_maya(window: Window, house: House) -> None:
    if _count(house, "maya_messages"):
        return
    window.open("/maya")
    window.fill("Your message to Maya", TOLD)
    window.press("Send")
    window.page.locator(".concept", has_text="close-up").get_by_role(
        "button", name="Three previews"
    ).first.click()
    expect(window.page.locator(".concept .wall img")).to_have_count(3, timeout=DRAWS_S * 1000)


def _shoots(window: Window, house: House) -> None:
    if _count(house, "photo_sets"):
        return
    window.open(f"/photoshoot/{COLLECTION}")
    window.press("Shoot the whole set")
    expect(window.pictures).to_have_count(SHOTS_OF_A_SET, timeout=SHOTS_OF_A_SET * DRAWS_S * 1000)
    for number in (0, 4):
        window.page.locator("#wall [formaction$='/favourite']").nth(number).click()


def stranger(camera: Camera) -> None:
    """What is seen before signing in."""
    for size in SIZES:
        window = camera.window(size)
        for name, path in (("welcome", "/"), ("sign-in", "/sign-in"), ("sign-up", "/sign-up")):
            camera.takes(window.open(path), name)
        window.close()


def member(camera: Camera, window: Window, house: House) -> None:
    """Every page of a member who has everything, and who is the admin."""
    for name, path in PAGES.items():
        window.open(path)
        if name == "maya":
            window.page.locator(".shot-of").first.evaluate(
                "(card) => card.scrollIntoView({ block: 'center' })"
            )
        camera.takes(window, name)
    saved = [str(row[0]) for row in house.sql("portraitist", SAVED)]
    [(album,)] = house.sql("portraitist", "select id from albums")
    [(photo_set,)] = house.sql("portraitist", "select id from photo_sets order by created_at desc limit 1")
    [(user,)] = house.sql("portraitist", "select id from users where role = 'admin'")
    for name, path in {
        "album": f"/gallery?album={album}",
        "picture": f"/gallery/{saved[0]}",
        "compare": f"/gallery/compare/{saved[0]}/{saved[-1]}",
        "photoshoot-set": f"/photoshoot/sets/{photo_set}",
        "admin-member": f"/admin/members/{user}",
    }.items():
        camera.takes(window.open(path), name)
    window.open("/gallery").page.locator("#wall a[data-file]").first.click()
    expect(window.page.locator("#viewer")).to_be_visible()
    camera.takes(window, "full-screen", whole=False)
    window.open("/gallery").page.get_by_label("Choose", exact=True).first.check()
    camera.takes(window, "gallery-choosing", whole=False)
    window.open("/pictures")
    window.fill("Your idea, in words", "in a café, evening light")
    window.press("Make three pictures")
    expect(window.page.locator(".waiting").first).to_be_visible()
    camera.takes(window, "drawing", whole=False)


SAVED = "select id from ai_images where saved order by created_at desc"


def newcomer(camera: Camera, house: House, up: Up) -> None:
    """A second member's first steps: consent, photos as they are judged, a training while it runs, then canceled."""
    opened = {"Authorization": f"Bearer {up.token}"}
    answer = httpx2.put(f"{camera.url}/api/v1/admin/settings/sign_up", headers=opened, json={"value": "open"})
    answer.raise_for_status()
    phone = camera.window("phone")
    steps.signs_up(phone, f"anna-{secrets.token_hex(4)}@example.org")
    desk = camera.window("desk", phone.page.context.cookies())
    for each in (phone, desk):
        for name, path in {"first-home": "/", "consent": "/photos", "first-gallery": "/gallery"}.items():
            camera.takes(each.open(path), name)
    phone.open("/")
    steps.agrees(phone)
    photos = drawn_selfies(house.folder / "anna", identity=OTHER)
    dark = write(house.folder / "dark", [Image.new("RGB", (900, 1200), (8, 8, 10))])
    for each, files in ((phone, [*photos[:5], *dark]), (desk, photos[5:])):
        _adds(each, files)
        camera.takes(each, "photos-judged")
    steps.trains(phone.open("/photos"))
    desk.open("/training")
    for each in (phone, desk):
        each.reads(re.compile(r"\b[2-8]\d %"), TRAINS_S)
        camera.takes(each, "training-live")
    phone.page.on("dialog", lambda asked: asked.accept())
    phone.press("Cancel the training")
    phone.reads(re.compile("It is being canceled|Train again"))
    phone.close()
    desk.close()


def _adds(window: Window, files: list[Path]) -> None:
    """Chooses photos, and sees each of them judged."""
    with window.open("/photos").page.expect_file_chooser() as chosen:
        window.page.get_by_text("Choose photos").click()
    chosen.value.set_files([str(each) for each in files])
    expect(window.page.locator("#coming .state.good, #coming .state.bad")).to_have_count(len(files))


def publish(picture: bytes, path: Path) -> None:
    """Write it as WebP, as good as fits."""
    with Image.open(io.BytesIO(picture)) as image:
        for quality in (88, 80, 70, 60):
            image.save(path, quality=quality, method=6)
            if path.stat().st_size <= LARGEST:
                return
    raise SystemExit(f"{path.name} is larger than {LARGEST} bytes")


def _settle(window: Window) -> None:
    """Wait for what the page still loads, pictures below the screen too."""
    window.page.evaluate(
        """() => { for (const each of document.images) each.loading = 'eager';
            for (const each of document.querySelectorAll('.wall > li')) each.style.contentVisibility = 'visible'; }"""
    )
    with suppress(BrowserError):  # a live page's stream never rests
        window.page.wait_for_load_state("networkidle", timeout=3000)
    window.page.evaluate(
        "() => Promise.all([...document.images].map((each) => each.decode().catch(() => 0)))"
    )


if __name__ == "__main__":
    main()
