"""Places and plain backdrops behind a person, drawn by code, one painter for each word of `words.PLACES`.

Only backgrounds: people are in `people`, light is in `light`.
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from portraitist.engine.tiny.canvas import HEIGHT, WIDTH, Canvas, Floats, grid, ink, noise, ramp
from portraitist.engine.tiny.words import COLOURS

Painter = Callable[[np.random.Generator, float], tuple[Canvas, float]]
"""Paints at a scale; returns the canvas and how far out of focus it is seen, in nominal units."""


def background(rng: np.random.Generator, place: str, scale: float = 1.0) -> Floats:
    """A place or a "<colour> background" as height × width × 3, 0 to 255, each time another one."""
    painter = PAINTERS.get(place)
    if painter is None:
        image = _backdrop(rng, COLOURS[place.removesuffix(" background")], scale)
        return np.asarray(image, np.float32)
    canvas, blur = painter(rng, scale)
    field = np.asarray(canvas.blurred(blur), np.float32)[..., :3]
    return _uneven(rng, field, scale)


def _uneven(rng: np.random.Generator, field: Floats, scale: float) -> Floats:
    """Light that varies over the place, as it does outside of drawings."""
    wave = noise(rng, (90, 90), scale)[..., None]
    return np.clip(field * (1 + 0.07 * wave), 0, 255).astype(np.float32)


def _backdrop(rng: np.random.Generator, colour: tuple[int, int, int], scale: float) -> Image.Image:
    base = np.asarray(colour, np.float32) + rng.normal(0, 10, 3).astype(np.float32)
    field = ramp(
        base * rng.uniform(0.8, 1), base * rng.uniform(1, 1.18), scale, across=bool(rng.random() < 0.5)
    )
    if rng.random() < 0.35:
        x, y = grid(scale)
        away = np.hypot(x - WIDTH * rng.uniform(0.2, 0.8), y - HEIGHT * rng.uniform(0.1, 0.6)) / 200
        field = (base[None, None] * (1.15 - 0.45 * away[..., None])).astype(np.float32)
    return Canvas.of(field + noise(rng, (40, 40), scale)[..., None] * 4, scale).blurred(1)


def _garden(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    top = (150 + u(-30, 40), 185 + u(-20, 30), 120)
    canvas = Canvas.of(ramp(top, (60, 110 + u(-20, 20), 48), scale), scale)
    canvas.blobs(rng, 160, (5, 20), [(70, 120, 50), (110, 160, 70), (40, 85, 38), (150, 190, 90)])
    flowers = [(225, 70, 90), (240, 210, 80), (250, 240, 240), (200, 110, 200), (235, 130, 60)]
    chosen = [flowers[i] for i in rng.permutation(5)[:3]]
    canvas.blobs(rng, int(u(25, 60)), (3, 8), chosen, band=(60, HEIGHT))
    return canvas, u(1.2, 5)


def _forest(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    canvas = Canvas.of(ramp((120, 150, 105), (48, 66, 36), scale), scale)
    canvas.blobs(rng, 60, (8, 24), [(50, 84, 42), (34, 62, 34), (90, 120, 60)])
    for _ in range(rng.integers(5, 11)):
        x, width, value = u(-5, WIDTH), u(4, 16), u(30, 75)
        canvas.box(x, 0, x + width, HEIGHT, ink((value, value * 0.8, value * 0.6)))
        canvas.box(x, 0, x + width * 0.3, HEIGHT, ink((value, value * 0.8, value * 0.6), 1.4))
    canvas.blobs(rng, 40, (6, 16), [(60, 100, 48), (100, 140, 64)], band=(120, HEIGHT))
    return canvas, u(1.2, 5)


def _beach(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    horizon, shore = u(0.3, 0.55) * HEIGHT, u(0.62, 0.85) * HEIGHT
    field = ramp((110 + u(-20, 40), 170, 225), (205, 225, 238), scale)
    y = grid(scale)[1][..., None]
    sea = np.array([50, 130 + u(-20, 20), 165 + u(-20, 20)]) + noise(rng, (20, 5), scale)[..., None] * 12
    sand = np.array([222, 200, 158]) + noise(rng, (12, 12), scale)[..., None] * 6
    field = np.where(y > horizon, sea, field)
    field = np.where(y > shore - 4, np.array([236, 240, 238]), field)
    field = np.where(y >= shore, sand, field)
    return Canvas.of(field, scale), u(1.2, 3)


def _street(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    canvas = Canvas.of(ramp((170, 195, 220), (130, 130, 132), scale), scale)
    x = -10.0
    while x < WIDTH:
        width, top = u(18, 48), u(0, 120)
        wall = np.full(3, u(90, 190)) + rng.normal(0, 14, 3)
        canvas.box(x, top, x + width, HEIGHT, ink(wall))
        for y in np.arange(top + 6, HEIGHT - 50, 14):
            for left in np.arange(x + 4, x + width - 6, 10):
                canvas.box(left, y, left + 5, y + 8, ink(wall, 0.6 if rng.random() < 0.8 else 1.4))
        x += width
    canvas.box(0, 218, WIDTH, HEIGHT, ink((92, 92, 96)))
    return canvas, u(1.2, 5)


def _night(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    canvas = Canvas.of(ramp((10, 12, 30 + u(0, 15)), (24, 20, 34), scale), scale)
    lamps = [(255, 200, 100), (255, 150, 70), (120, 180, 255), (255, 240, 200), (255, 90, 90)]
    canvas.blobs(rng, int(u(30, 70)), (2, 9), lamps, alpha=210)
    return canvas, u(1.2, 5)


def _office(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    value = u(185, 225)
    canvas = Canvas.of(ramp((value, value, value + 5), (value - 40, value - 40, value - 34), scale), scale)
    x = u(-20, 120)
    canvas.box(x, 20, x + 70, 120, ink((205, 228, 245)))
    for slat in range(24, 120, 7) if rng.random() < 0.5 else ():
        canvas.line([(x, slat), (x + 70, slat)], ink((170, 180, 190)), 2)
    canvas.line([(x + 35, 20), (x + 35, 120)], ink((120, 120, 125)), 4)
    shelf = (x + 95) % 150
    canvas.box(shelf, 60, shelf + 50, 190, ink((110, 90, 72)))
    for _ in range(14):
        left, top = u(shelf, shelf + 42), u(64, 170)
        canvas.box(left, top, left + 7, top + 18, ink(rng.integers(60, 230, 3).astype(float)))
    return canvas, u(1.2, 5)


def _room(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    walls = [(214, 190, 160), (190, 160, 130), (170, 178, 170)]
    wall = np.asarray(walls[rng.integers(3)], float) + rng.normal(0, 10, 3)
    canvas = Canvas.of(ramp(wall, wall * 0.8, scale), scale)
    x = u(0, 130)
    canvas.box(x, 25, x + 50, 95, ink((90, 64, 44)))
    canvas.box(x + 5, 30, x + 45, 90, ink(rng.integers(80, 220, 3).astype(float)))
    x = u(0, 150)
    canvas.ellipse(x + 18, 110, 18, 20, ink((255, 226, 160)))
    canvas.line([(x + 18, 128), (x + 18, 195)], ink((90, 70, 50)), 2.5)
    canvas.box(0, 195, WIDTH, HEIGHT, ink(rng.integers(60, 160, 3).astype(float)))
    return canvas, u(1.2, 5)


def _ridges(
    rng: np.random.Generator, canvas: Canvas, colours: list[tuple[int, int, int]], top: float, step: float
) -> None:
    for depth, colour in enumerate(colours):
        base = top + depth * step
        crest = [(float(x), base + rng.uniform(-40, 30)) for x in np.linspace(-5, WIDTH + 5, 7)]
        shade = ink(np.asarray(colour, float) + rng.normal(0, 6, 3))
        canvas.polygon([(0, HEIGHT), *crest, (WIDTH, HEIGHT)], shade)


def _mountains(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    canvas = Canvas.of(ramp((90, 140, 205), (205, 222, 236), scale), scale)
    _ridges(rng, canvas, [(150, 165, 190), (100, 118, 128), (70, 98, 66)], 90, 45)
    return canvas, rng.uniform(1.2, 4)


def _snow(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    canvas = Canvas.of(ramp((178, 196, 218), (240, 244, 250), scale), scale)
    for _ in range(rng.integers(3, 8)):
        x, tall = u(0, WIDTH), u(60, 150)
        foot = 160 + tall * 0.1
        canvas.polygon(
            [(x, 150 - tall * 0.6), (x - tall * 0.25, foot), (x + tall * 0.25, foot)], ink((70, 100, 94))
        )
    canvas.blobs(rng, 60, (1, 3.5), [(252, 252, 255)], jitter=2)
    return canvas, u(0.8, 2)


def _library(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    canvas = Canvas.of(ramp((70, 48, 32), (60, 40, 28), scale), scale)
    spines = [(130, 50, 40), (60, 80, 110), (60, 100, 70), (190, 160, 110), (90, 60, 90)]
    for y in range(-10, HEIGHT, 44):
        x = 0.0
        while x < WIDTH:
            width, tall = rng.uniform(5, 12), rng.uniform(28, 38)
            colour = np.asarray(spines[rng.integers(5)], float) + rng.normal(0, 15, 3)
            canvas.box(x, y + 40 - tall, x + width - 1, y + 40, ink(colour))
            x += width
    return canvas, rng.uniform(1, 3)


def _bricks(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    canvas = Canvas.of(ramp((176, 160, 146), (168, 152, 140), scale), scale)
    for row, y in enumerate(range(0, HEIGHT, 14)):
        for x in range(-30 + (row % 2) * 15, WIDTH, 30):
            canvas.box(x, y, x + 27, y + 11, ink(np.array([158, 78, 58]) + rng.normal(0, 12, 3)))
    return canvas, rng.uniform(0.6, 2)


def _sky(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    canvas = Canvas.of(ramp((70, 130, 210), (170, 205, 240), scale), scale)
    canvas.blobs(rng, 30, (8, 26), [(246, 248, 252)], band=(0, 150), jitter=4, alpha=120)
    return canvas, rng.uniform(4, 8)


def _sunset(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    canvas = Canvas.of(ramp((96 + u(-20, 20), 70, 120), (250, 160 + u(-15, 15), 84), scale), scale)
    x, y = u(20, WIDTH - 20), u(110, 190)
    for radius, alpha in ((60, 50), (36, 80), (18, 255)):
        canvas.ellipse(x, y, radius, radius, ink((255, 226, 160), alpha=alpha))
    _ridges(rng, canvas, [(92, 56, 74), (44, 30, 46)], 205, 26)
    return canvas, u(1.5, 4)


def _cafe(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    wall = np.array([104, 70, 50]) + rng.normal(0, 10, 3)
    canvas = Canvas.of(ramp(wall * 0.8, wall * 1.15, scale), scale)
    board = u(-10, 110)
    canvas.box(board, 50, board + 80, 120, ink((38, 44, 42)))
    for y in range(60, 115, 9):
        canvas.line([(board + 8, y), (board + u(30, 70), y)], ink((210, 210, 200)), 1.4)
    for x in np.arange(u(5, 30), WIDTH, u(36, 52)):
        drop = u(20, 50)
        canvas.line([(x, 0), (x, drop)], ink((30, 26, 24)), 1)
        canvas.ellipse(x, drop + 6, 14, 14, ink((255, 190, 90), alpha=70))
        canvas.ellipse(x, drop + 6, 6, 8, ink((255, 228, 160)))
    canvas.box(0, 188, WIDTH, 200, ink((170, 126, 84)))
    canvas.box(0, 200, WIDTH, HEIGHT, ink((70, 48, 36)))
    return canvas, u(1.5, 4)


def _autumn(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    canvas = Canvas.of(ramp((214, 190, 140), (130, 84, 40), scale), scale)
    for _ in range(rng.integers(3, 7)):
        x = u(0, WIDTH)
        canvas.line([(x, HEIGHT), (x + u(-14, 14), 0)], ink((70, 52, 40)), u(4, 10))
    leaves = [(214, 120, 36), (196, 76, 34), (232, 178, 60), (150, 60, 30), (176, 140, 50)]
    canvas.blobs(rng, 190, (4, 15), leaves)
    return canvas, u(1.2, 5)


def _desert(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    canvas = Canvas.of(ramp((120, 170, 220), (236, 220, 190), scale), scale)
    for depth, colour in enumerate([(224, 178, 118), (210, 158, 96), (190, 136, 80)]):
        base, lift, shift = 120 + depth * 42, u(10, 26), u(0, 6.3)
        crest = [(float(x), base - lift * math.sin(x / 45 + shift)) for x in np.linspace(-4, WIDTH + 4, 14)]
        canvas.polygon(
            [(-4, HEIGHT), *crest, (WIDTH + 4, HEIGHT)], ink(np.asarray(colour) + rng.normal(0, 6, 3))
        )
    return canvas, u(1.2, 4)


def _lake(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    canvas = Canvas.of(ramp((150, 190, 220), (214, 226, 230), scale), scale)
    _ridges(rng, canvas, [(92, 120, 110), (58, 86, 66)], 90, 22)
    shore = u(128, 156)
    y = grid(scale)[1][..., None]
    water = np.array([78, 118, 138]) + noise(rng, (50, 4), scale)[..., None] * 16
    field = np.where(y > shore, water, np.asarray(canvas.image, np.float32)[..., :3])
    canvas = Canvas.of(field, scale)
    for _ in range(int(u(10, 30))):
        x = u(0, WIDTH)
        canvas.line([(x, HEIGHT), (x + u(-6, 6), u(170, 230))], ink((96, 120, 60)), 1.6)
    return canvas, u(1, 3)


def _meadow(rng: np.random.Generator, scale: float) -> tuple[Canvas, float]:
    u = rng.uniform
    canvas = Canvas.of(ramp((130, 180, 228), (220, 234, 240), scale), scale)
    horizon = u(100, 150)
    canvas.box(0, horizon, WIDTH, HEIGHT, ink((126 + u(-15, 25), 168, 72)))
    for _ in range(260):
        x, y = u(0, WIDTH), u(horizon, HEIGHT + 8)
        shade = ink(np.array([110, 156, 60]) + rng.normal(0, 20, 3))
        canvas.line([(x, y), (x + u(-4, 4), y - u(6, 16))], shade, 1.6)
    canvas.blobs(
        rng,
        int(u(15, 50)),
        (1.5, 3.5),
        [(250, 250, 240), (250, 220, 80), (230, 90, 90)],
        band=(horizon, HEIGHT),
    )
    return canvas, u(1, 3)


PAINTERS: dict[str, Painter] = {
    "in a garden": _garden,
    "in a forest": _forest,
    "on a beach": _beach,
    "in a city street": _street,
    "at night": _night,
    "in an office": _office,
    "in a room": _room,
    "in the mountains": _mountains,
    "in the snow": _snow,
    "in a library": _library,
    "at a brick wall": _bricks,
    "under a blue sky": _sky,
    "at sunset": _sunset,
    "in a cafe": _cafe,
    "in autumn": _autumn,
    "in a desert": _desert,
    "by a lake": _lake,
    "in a meadow": _meadow,
}
