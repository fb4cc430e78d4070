"""One drawn person: an identity, and the person's head and shoulders as a shaded cut-out.

Nobody real: every trait is a number drawn from a seed. Backgrounds are in `places`, whole pictures in `drawing`.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from portraitist.engine.tiny.canvas import HEIGHT, WIDTH, Canvas, Floats, grid, ink, noise, size
from portraitist.engine.tiny.shading import Pose, hair_strands, shade
from portraitist.engine.tiny.words import COLOURS, HAIRS

RGB = tuple[float, float, float]
SKINS: tuple[RGB, ...] = (
    (244, 212, 188), (232, 188, 156), (206, 156, 120), (168, 118, 84), (122, 82, 58), (92, 62, 46),
)  # fmt: skip
EYES: tuple[RGB, ...] = ((90, 130, 180), (100, 74, 46), (80, 120, 74), (50, 36, 28))
STYLES = ("short", "long", "bob", "curly", "bald", "bun")


@dataclass(frozen=True)
class Identity:
    """What stays the same in every picture of one drawn person."""

    skin: RGB
    hair: str
    style: str
    width: float
    jaw: float
    eye: RGB
    eye_size: float
    eye_gap: float
    nose: float
    mouth: float
    lips: float
    brow: float
    parting: float
    glasses: bool
    beard: bool
    shirt: str
    collar: int
    pattern: int


def identity(rng: np.random.Generator) -> Identity:
    """A new person."""
    u = rng.uniform
    skin = np.asarray(SKINS[rng.integers(len(SKINS))]) + rng.normal(0, 5, 3)
    return Identity(
        skin=(float(skin[0]), float(skin[1]), float(skin[2])),
        hair=list(HAIRS)[rng.integers(len(HAIRS))],
        style=STYLES[rng.choice(6, p=[0.28, 0.26, 0.18, 0.14, 0.06, 0.08])],
        width=u(0.74, 0.92), jaw=u(0.8, 1.08), eye=EYES[rng.integers(len(EYES))],
        eye_size=u(0.8, 1.15), eye_gap=u(0.92, 1.1), nose=u(0.8, 1.3), mouth=u(0.8, 1.25), lips=u(0.7, 1.3),
        brow=u(0.6, 1.4), parting=u(-0.3, 0.3), glasses=bool(rng.random() < 0.15), beard=bool(rng.random() < 0.13),
        shirt=list(COLOURS)[rng.integers(len(COLOURS))], collar=int(rng.integers(4)), pattern=int(rng.integers(6)),
    )  # fmt: skip


@dataclass(frozen=True)
class Cutout:
    """A person without a background: colour 0 to 255, alpha 0 to 1, and where the head is."""

    colour: Floats
    alpha: Floats
    pose: Pose


SIZES = {"close-up": (70, 90), "": (44, 58), "half body": (28, 36)}
CENTRES = {"close-up": (112, 135), "": (90, 112), "half body": (62, 84)}


def pose_for(rng: np.random.Generator, framing: str) -> Pose:
    """A random pose in a framing of `words.FRAMINGS`, or "" for head and shoulders."""
    u = rng.uniform
    return Pose(
        x=WIDTH / 2 + u(-12, 12), y=u(*CENTRES[framing]), head=u(*SIZES[framing]), turn=u(-0.24, 0.24),
        tilt=float(np.clip(rng.normal(0, 4), -10, 10)), smile=u(-0.2, 1), blink=bool(rng.random() < 0.04),
        gaze=u(-0.35, 0.35), light=(u(-0.9, 0.9), u(-0.9, -0.1), u(0.5, 1.1)), contrast=u(0.25, 0.6),
    )  # fmt: skip


MARGIN = 40
"""Drawn beyond each edge of the frame, so that a tilted person does not end inside it."""
FOOT = HEIGHT + 44.0
HAIR_MARK = 254
"""Alpha of hair on the flat drawing: what is drawn over it is not hair any more."""


def draw_person(rng: np.random.Generator, who: Identity, pose: Pose, scale: float = 1.0) -> Cutout:
    """The person in this pose, drawn at twice the scale and brought down, then shaded as a solid body."""
    canvas = Canvas.clear(scale * 2, MARGIN)
    _hair_behind(rng, canvas, who, pose)
    _neck_and_clothes(canvas, who, pose)
    _head(canvas, who, pose)
    _eyes(canvas, who, pose)
    _nose_and_mouth(canvas, who, pose)
    _hair_front(canvas, who, pose)
    hair = canvas.image.getchannel("A").point(lambda alpha: 255 if alpha == HAIR_MARK else 0)
    mask = np.asarray(_down(hair, pose, scale), np.float32) / 255
    solid = _down(canvas.image.getchannel("A"), pose, scale)
    cover = np.asarray(solid, np.float32)[..., None] / 255
    # Nothing is black: shrinking mixes it into the outline, so what is left of the colour is scaled up again.
    colour: Floats = np.asarray(_down(canvas.image.convert("RGB"), pose, scale), np.float32) / np.maximum(
        cover, 0.05
    )
    soft = solid.filter(ImageFilter.GaussianBlur(0.6 * scale))
    alpha = np.clip(np.asarray(soft, np.float32) / HAIR_MARK, 0, 1)
    folds = noise(rng, (26, 44), scale) * (grid(scale)[1] > pose.y + pose.head * 1.35)
    colour = colour * (1 + 0.06 * folds)[..., None]
    colour = hair_strands(rng, colour, mask, pose, scale)
    colour = shade(colour, pose, who.width, scale)
    colour = colour + (noise(rng, (2, 2), scale) * 2.5 + noise(rng, (12, 12), scale) * 2)[..., None]
    return Cutout(np.clip(colour, 0, 255).astype(np.float32), alpha, pose)


def _down(layer: Image.Image, pose: Pose, scale: float) -> Image.Image:
    """A layer of the drawing turned by the head's tilt, cut to the frame and brought to the wanted size."""
    pen = scale * 2
    centre = ((pose.x + MARGIN) * pen, (pose.y + pose.head + MARGIN) * pen)
    turned = layer.rotate(pose.tilt, Image.Resampling.BILINEAR, center=centre)
    frame = (MARGIN * pen, MARGIN * pen, (MARGIN + WIDTH) * pen, (MARGIN + HEIGHT) * pen)
    return turned.resize(size(scale), Image.Resampling.BOX, box=frame)


def _hair_behind(rng: np.random.Generator, canvas: Canvas, who: Identity, pose: Pose) -> None:
    x, y, size, width = pose.x, pose.y, pose.head, pose.head * who.width
    back = ink(HAIRS[who.hair], 0.78, HAIR_MARK)
    if who.style == "long":
        canvas.ellipse(x, y + size * 0.25, width * 1.22, size * 1.45, back)
    elif who.style == "bob":
        canvas.ellipse(x, y - size * 0.02, width * 1.22, size * 1.12, back)
    elif who.style == "bun":
        canvas.ellipse(x + pose.turn * size, y - size * 1.12, width * 0.42, size * 0.36, back)
    elif who.style == "curly":
        for angle in np.linspace(-0.3, np.pi + 0.3, 14):
            radius = size * 0.3
            curl = (x + np.cos(angle) * width * 1.02, y - np.sin(angle) * size * 0.88)
            canvas.ellipse(
                curl[0], curl[1], radius, radius, ink(HAIRS[who.hair], rng.uniform(0.7, 1), HAIR_MARK)
            )


def _neck_and_clothes(canvas: Canvas, who: Identity, pose: Pose) -> None:
    x, y, size = pose.x, pose.y, pose.head
    width = size * who.width
    neck, shoulder, top = width * 0.5, width * 2.25, y + size * 1.4
    cloth, skin = COLOURS[who.shirt], who.skin
    canvas.polygon(
        [(x - neck, y + size * 0.5), (x + neck, y + size * 0.5), (x + neck * 1.15, top + size * 0.2),
         (x - neck * 1.15, top + size * 0.2)], ink(skin, 0.9),
    )  # fmt: skip
    right = [
        (neck * 1.1, top - size * 0.12), (shoulder * 0.5, top + size * 0.02), (shoulder * 0.82, top + size * 0.14),
        (shoulder, top + size * 0.5), (shoulder * 1.1, FOOT),
    ]  # fmt: skip
    outline = [(x - dx, dy) for dx, dy in reversed(right)] + [(x + dx, dy) for dx, dy in right]
    canvas.polygon(outline, ink(cloth))
    _pattern(canvas, who, pose, top)
    for side in (-1, 1):
        sleeve = [(shoulder, top + size * 0.5), (shoulder * 0.72, top + size), (shoulder * 0.76, FOOT),
                  (shoulder * 1.1, FOOT)]  # fmt: skip
        canvas.polygon([(x + side * dx, dy) for dx, dy in sleeve], ink(cloth, 0.84))
    _collar(canvas, who, pose, top)


def _pattern(canvas: Canvas, who: Identity, pose: Pose, top: float) -> None:
    """Stripes or a jacket over the plain cloth; drawn only where cloth is, below the shoulder line."""
    x, size = pose.x, pose.head
    width = size * who.width
    if who.pattern == 0:
        for y in np.arange(top + size * 0.55, FOOT, size * 0.22):
            canvas.line(
                [(x - width * 1.9, y), (x + width * 1.9, y)], ink(COLOURS[who.shirt], 0.66), size * 0.06
            )
    elif who.pattern == 1:
        dark = (52.0, 54.0, 66.0)
        for side in (-1, 1):
            lapel = [(x + side * width * 0.5, top - size * 0.1), (x + side * width * 1.05, top + size * 0.05),
                     (x + side * width * 2.1, top + size * 0.5), (x + side * width * 2.3, FOOT),
                     (x + side * width * 0.12, FOOT)]  # fmt: skip
            canvas.polygon(lapel, ink(dark))


def _collar(canvas: Canvas, who: Identity, pose: Pose, top: float) -> None:
    x, size = pose.x, pose.head
    neck = size * who.width * 0.5
    if who.collar == 0:
        canvas.polygon([(x - neck, top - size * 0.13), (x + neck, top - size * 0.13), (x, top + size * 0.55)],
                       ink(who.skin, 0.94))  # fmt: skip
    elif who.collar == 1:
        canvas.ellipse(x, top - size * 0.1, neck * 1.05, size * 0.2, ink(who.skin, 0.92))
    elif who.collar == 2:
        for side in (-1, 1):
            leaf = [(x + side * neck * 1.15, top - size * 0.16), (x, top + size * 0.3),
                    (x + side * neck * 1.4, top + size * 0.36)]  # fmt: skip
            canvas.polygon(leaf, ink(COLOURS[who.shirt], 1.2))
    else:
        canvas.polygon([(x - neck * 1.2, top - size * 0.35), (x + neck * 1.2, top - size * 0.35),
                        (x + neck * 1.3, top + size * 0.1), (x - neck * 1.3, top + size * 0.1)],
                       ink(COLOURS[who.shirt], 0.9))  # fmt: skip


def _head(canvas: Canvas, who: Identity, pose: Pose) -> None:
    x, y, size = pose.x, pose.y, pose.head
    width, shift = size * who.width, pose.turn * size * who.width
    for side in (-1, 1):
        canvas.ellipse(x + side * width * 0.97 - shift * 0.3, y + size * 0.06, size * 0.11, size * 0.19,
                       ink(who.skin, 0.86))  # fmt: skip
    canvas.ellipse(x, y, width, size * 0.98, ink(who.skin))
    canvas.ellipse(x + shift * 0.4, y + size * 0.32, width * 0.8 * who.jaw, size * 0.74, ink(who.skin))
    if who.beard:
        canvas.ellipse(
            x + shift * 0.6, y + size * 0.6, width * 0.72, size * 0.48, ink(HAIRS[who.hair], 0.85, HAIR_MARK)
        )
        canvas.ellipse(x + shift * 0.8, y + size * 0.26, width * 0.66, size * 0.28, ink(who.skin))
    blush = (who.skin[0] * 1.02, who.skin[1] * 0.96, who.skin[2] * 0.95)
    for side in (-1, 1):
        canvas.ellipse(x + side * width * 0.5 + shift, y + size * 0.28, width * 0.2, size * 0.13, ink(blush))


def _eyes(canvas: Canvas, who: Identity, pose: Pose) -> None:
    size = pose.head
    width, shift = size * who.width, pose.turn * size * who.width
    level, radius = pose.y - size * 0.06, size * 0.13 * who.eye_size
    brow = ink(HAIRS[who.hair], 0.7)
    for side in (-1, 1):
        x = pose.x + side * width * 0.42 * who.eye_gap * (1 - side * pose.turn * 0.5) + shift
        canvas.ellipse(x, level - size * 0.02, radius * 1.4, radius * 0.9, ink(who.skin, 0.84))
        if pose.blink:
            canvas.arc((x, level, radius * 1.2, radius * 0.5), (10, 170), ink(who.skin, 0.45), size * 0.035)
        else:
            iris = x + pose.gaze * radius * 0.5
            canvas.ellipse(x, level, radius * 1.2, radius * 0.6, ink((240, 236, 232)))
            canvas.ellipse(iris, level - radius * 0.05, radius * 0.56, radius * 0.56, ink(who.eye))
            canvas.ellipse(iris, level - radius * 0.05, radius * 0.27, radius * 0.27, ink((15, 12, 12)))
            canvas.ellipse(
                iris + radius * 0.16, level - radius * 0.24, radius * 0.14, radius * 0.14, ink((255,) * 3)
            )
            canvas.arc(
                (x, level, radius * 1.28, radius * 0.78), (190, 350), ink(HAIRS[who.hair], 0.4), size * 0.04
            )
        outer, inner = x + side * radius * 1.5, x - side * radius * 1.2
        points = [(outer, level - size * 0.17), (x, level - size * 0.25), (inner, level - size * 0.2)]
        canvas.line(points, brow, size * 0.055 * who.brow)
        if who.glasses:
            canvas.ring(
                x,
                level + radius * 0.05,
                radius * 1.75,
                radius * 1.4,
                fill=ink((34, 30, 32)),
                width=size * 0.035,
            )
    if who.glasses:
        gap = width * 0.42 * who.eye_gap - radius * 1.75
        line = [(pose.x + shift - gap, level), (pose.x + shift + gap, level)]
        canvas.line(line, ink((34, 30, 32)), size * 0.035)


def _nose_and_mouth(canvas: Canvas, who: Identity, pose: Pose) -> None:
    size = pose.head
    width, shift = size * who.width, pose.turn * size * who.width
    x, tip = pose.x + shift * 1.4, pose.y + size * 0.3
    canvas.ellipse(x, tip, size * 0.11 * who.nose, size * 0.065, ink(who.skin, 0.95))
    for side in (-1, 1):
        canvas.ellipse(x + side * size * 0.055 * who.nose, tip + size * 0.035, size * 0.028, size * 0.018,
                       ink(who.skin, 0.55))  # fmt: skip
    x, y, half = pose.x + shift * 1.1, pose.y + size * 0.57, width * 0.35 * who.mouth
    lip = (min(255.0, who.skin[0] * 0.55 + 80), who.skin[1] * 0.42 + 26, who.skin[2] * 0.42 + 32)
    if pose.smile > 0.45:
        canvas.chord((x, y - size * 0.02, half, size * 0.17), (0, 180), ink(lip, 0.9))
        canvas.chord((x, y - size * 0.01, half * 0.82, size * 0.1), (0, 180), ink((244, 240, 236)))
        canvas.arc((x, y - size * 0.06, half * 1.25, size * 0.26), (15, 60), ink(who.skin, 0.8), size * 0.02)
        canvas.arc(
            (x, y - size * 0.06, half * 1.25, size * 0.26), (120, 165), ink(who.skin, 0.8), size * 0.02
        )
        return
    bend = size * 0.04 * pose.smile
    canvas.ellipse(x, y + size * 0.012, half * 0.82, size * 0.062 * who.lips, ink(lip))
    line = [(x - half * 0.82, y - bend), (x, y + bend * 0.4), (x + half * 0.82, y - bend)]
    canvas.line(line, ink(lip, 0.58), size * 0.022)
    canvas.ellipse(x, y + size * 0.14, half * 0.4, size * 0.025, ink(who.skin, 0.9))


def _hair_front(canvas: Canvas, who: Identity, pose: Pose) -> None:
    if who.style == "bald":
        return
    x, y, size, width = pose.x, pose.y, pose.head, pose.head * who.width
    low = {"short": 0.05, "curly": 0.1, "bun": -0.05}.get(who.style, 0.38)
    part, shift = who.parting, pose.turn * width * 0.6
    crown = [(x + float(np.cos(a)) * width * 1.12, y - size * 0.15 - float(np.sin(a)) * size * 1.0)
             for a in np.linspace(np.pi * 0.9, np.pi * 0.1, 14)]  # fmt: skip
    left = [(x - width * 1.06, y + size * low), (x - width * 1.1, y - size * 0.5)]
    right = [(x + width * 1.1, y - size * 0.5), (x + width * 1.06, y + size * low)]
    fringe = [
        (x + width * 0.9 + shift * 0.3, y - size * 0.28), (x + width * (0.5 + part) + shift, y - size * 0.58),
        (x + width * part + shift, y - size * 0.5), (x - width * (0.5 - part) + shift, y - size * 0.6),
        (x - width * 0.9 + shift * 0.3, y - size * 0.28),
    ]  # fmt: skip
    canvas.polygon(left + crown + right + fringe, ink(HAIRS[who.hair], 1, HAIR_MARK))
