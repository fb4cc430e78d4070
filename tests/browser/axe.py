"""What axe-core and the eye of a small screen find on the page that a window shows: WCAG 2.2 AA, and no overflow.

axe lies in the front-end's packages and is evaluated beside the page's own scripts: the page's policy stays as it is.
"""

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
TALL = 3000  # so that the bars that float over a page cover nothing of it
RUN = """options => axe.run(document, { resultTypes: ["violations"], ...options }).then(({ violations }) =>
    violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 200)}
        ${node.any.map((each) => each.message).join("; ").slice(0, 300)}`)))"""
WIDER = """() => { const room = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= room) return [];
    return [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > room + 1)
        .slice(0, 5).map((each) => `wider than ${room} px: ${each.outerHTML.slice(0, 160)}`); }"""


def violations(page: Page) -> list[str]:
    """Everything against WCAG 2.2 AA, in light and in dark."""
    width = (page.viewport_size or {"width": 360})["width"]
    page.set_viewport_size({"width": width, "height": TALL})
    page.evaluate(AXE.read_text())
    found = page.evaluate(RUN, {"runOnly": LEVELS})
    page.emulate_media(color_scheme="dark")
    in_dark = page.evaluate(RUN, COLOURS)
    page.emulate_media(color_scheme="light")
    return [*found, *(f"in the dark: {each}" for each in in_dark if each not in found)]


def overflow(page: Page) -> list[str]:
    """What makes the page scroll sideways."""
    return list(page.evaluate(WIDER))
