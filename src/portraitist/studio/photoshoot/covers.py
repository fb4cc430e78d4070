"""Covers of collections, drawn by code: an abstract composition of each motif in the collection's own palette.

Pure: a palette and a motif in, the text of an SVG out; nothing random, so a cover is the same each time. No stock
photo and no picture of anybody; covers made of a member's own pictures are the page's to show.
"""

from collections.abc import Callable, Mapping, Sequence
from math import cos, pi, sin

WIDTH, HEIGHT = 480, 600
Shape = str


def svg(motif: str, palette: Sequence[str]) -> str:
    """The cover as an SVG of WIDTH × HEIGHT; the palette's first colour is the ground."""
    shapes = "".join(_DRAWN[motif](palette))
    ground = _rect(0, 0, WIDTH, HEIGHT, palette[0])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f"{ground}{shapes}</svg>"
    )


def _at(palette: Sequence[str], place: int) -> str:
    return palette[place % len(palette)]


def _rect(x: float, y: float, width: float, height: float, fill: str) -> Shape:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}"/>'


def _circle(x: float, y: float, radius: float, fill: str, more: str = "") -> Shape:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}"{more}/>'


def _path(d: str, fill: str, more: str = "") -> Shape:
    return f'<path d="{d}" fill="{fill}"{more}/>'


def _columns(palette: Sequence[str]) -> list[Shape]:
    """Tall slabs in a slanting light."""
    tops = (110, 210, 60, 300, 160)
    slabs = [
        _path(
            f"M{30 + 88 * n} {top} h68 V{HEIGHT} h-68 Z",
            _at(palette, 1 + n % 2),
            f' opacity="{0.55 + 0.1 * n:g}"',
        )
        for n, top in enumerate(tops)
    ]
    beam = _path(f"M0 430 L{WIDTH} 150 V250 L0 560 Z", _at(palette, 3), ' opacity=".16"')
    return [*slabs, beam, _circle(384, 96, 40, _at(palette, 2))]


def _window(palette: Sequence[str]) -> list[Shape]:
    """Light of a window on a wall, and the bowl below."""
    panes = [
        _path(f"M{x} {y} l120 -26 v150 l-120 26 Z", _at(palette, 3), ' opacity=".85"')
        for x in (110, 242)
        for y in (130, 300)
    ]
    table = _rect(0, 500, WIDTH, 100, _at(palette, 1))
    bowl = _path("M300 452 h120 a60 60 0 0 1 -120 0 Z", _at(palette, 2))
    return [
        *panes,
        table,
        bowl,
        _circle(340, 440, 20, _at(palette, 1)),
        _circle(374, 436, 22, _at(palette, 3)),
    ]


def _sun(palette: Sequence[str]) -> list[Shape]:
    """A low sun between hills."""
    rays = [
        _circle(300, 320, 250 - 46 * n, _at(palette, 3), f' opacity="{0.12 + 0.06 * n:g}"') for n in range(3)
    ]
    far = _path(f"M0 400 C120 330 210 380 300 350 S430 300 {WIDTH} 350 V{HEIGHT} H0 Z", _at(palette, 1))
    near = _path(f"M0 500 C110 430 240 470 330 500 S440 520 {WIDTH} 470 V{HEIGHT} H0 Z", _at(palette, 2))
    return [*rays, _circle(300, 320, 92, _at(palette, 3)), far, near]


def _crossing(palette: Sequence[str]) -> list[Shape]:
    """Stripes of a crossing, seen from a window above, and one who crosses."""
    stripes = [
        _path(f"M{-60 + 104 * n} {HEIGHT} L{60 + 84 * n} 90 h44 L{4 + 104 * n} {HEIGHT} Z", _at(palette, 1))
        for n in range(6)
    ]
    shadow = _path("M262 330 l150 96 l-18 22 l-150 -104 Z", _at(palette, 0), ' opacity=".55"')
    return [_rect(0, 0, WIDTH, 90, _at(palette, 3)), *stripes, shadow, _circle(246, 318, 34, _at(palette, 2))]


def _circles(palette: Sequence[str]) -> list[Shape]:
    """Light that falls over a sphere."""
    rings = [
        _circle(
            240 - 9 * n, 290 - 9 * n, 190 - 26 * n, _at(palette, 1 + n % 3), f' opacity="{0.25 + 0.12 * n:g}"'
        )
        for n in range(6)
    ]
    return [*rings, _rect(0, 520, WIDTH, 2, _at(palette, 2)), _circle(396, 470, 50, _at(palette, 1))]


def _frames(palette: Sequence[str]) -> list[Shape]:
    """A roll of backdrop paper, a stool before it, and the lamp that waits."""
    paper = _path("M96 66 h258 v330 q0 110 74 204 H22 q74 -94 74 -204 Z", _at(palette, 3))
    fold = _path("M96 396 q0 24 -4 46 h266 q-4 -22 -4 -46 Z", _at(palette, 1), ' opacity=".22"')
    roll = _rect(76, 48, 298, 26, _at(palette, 1))
    seat = _path(
        "M176 424 h98 v16 h-14 l14 96 h-12 l-16 -96 h-42 l-16 96 h-12 l14 -96 h-14 Z", _at(palette, 2)
    )
    lamp = _path("M372 130 l52 -22 l36 40 l-8 62 l-48 26 l-42 -34 Z", _at(palette, 2))
    glow = _path("M384 142 l38 -16 l24 28 l-6 44 l-34 18 l-28 -24 Z", _at(palette, 3))
    stand = _path("M416 232 h6 l4 368 h-14 Z", _at(palette, 2))
    return [paper, fold, roll, stand, lamp, glow, seat]


def _horizon(palette: Sequence[str]) -> list[Shape]:
    """Sky, sea, a sail and the land that comes nearer."""
    sky = _rect(0, 0, WIDTH, 330, _at(palette, 3))
    land = _path("M250 330 q60 -70 120 -40 t110 -20 V330 Z", _at(palette, 2))
    sail = _path("M150 190 v190 h-86 Z M164 240 v140 h62 Z", _at(palette, 1))
    hull = _path("M52 396 h190 l-30 34 h-126 Z", _at(palette, 2))
    waves = [
        _path(
            f"M0 {452 + 44 * n} q40 -18 80 0 t80 0 80 0 80 0 80 0 80 0 v6 "
            "q-40 -14 -80 0 t-80 0 -80 0 -80 0 -80 0 -80 0 Z",
            _at(palette, 3),
            f' opacity="{0.5 - 0.12 * n:g}"',
        )
        for n in range(3)
    ]
    return [sky, _circle(352, 150, 50, _at(palette, 1)), land, sail, hull, *waves]


def _waves(palette: Sequence[str]) -> list[Shape]:
    """Water drawn in rings around a stone."""
    rings = [
        f'<ellipse cx="240" cy="360" rx="{46 + 44 * n}" ry="{24 + 30 * n}" fill="none" stroke="{_at(palette, 1)}" '
        f'stroke-width="{7 - n:g}" opacity="{0.95 - 0.13 * n:g}"/>'
        for n in range(6)
    ]
    stones = [
        f'<ellipse cx="240" cy="{362 - 44 * n}" rx="{70 - 15 * n}" ry="{28 - 5 * n}" fill="{_at(palette, 1 + n)}"/>'
        for n in range(3)
    ]
    return [_circle(350, 130, 64, _at(palette, 2)), *rings, *stones]


def _arches(palette: Sequence[str]) -> list[Shape]:
    """Doors behind doors, the last one lit."""
    doors = [
        _path(
            f"M{70 + 48 * n} {HEIGHT} V{250 + 46 * n} "
            f"a{170 - 48 * n} {170 - 48 * n} 0 0 1 {340 - 96 * n} 0 V{HEIGHT} Z",
            _at(palette, (1, 3, 2)[n]),
        )
        for n in range(3)
    ]
    lamps = [
        _circle(240 + 150 * cos(pi * n / 6), 170 - 96 * sin(pi * n / 6), 5, _at(palette, 2)) for n in range(7)
    ]
    return [*doors, *lamps]


_DRAWN: Mapping[str, Callable[[Sequence[str]], list[Shape]]] = {
    "columns": _columns,
    "window": _window,
    "sun": _sun,
    "crossing": _crossing,
    "circles": _circles,
    "frames": _frames,
    "horizon": _horizon,
    "waves": _waves,
    "arches": _arches,
}
MOTIFS = tuple(_DRAWN)
"""What a cover can be drawn of."""
