"""A drawn head as a solid body: where it is, light on its rounded form, and strands of hair.

Works on whole fields with numpy; the outlines are drawn in `people`.
"""

from dataclasses import dataclass

import numpy as np

from portraitist.engine.tiny.canvas import Floats, grid


@dataclass(frozen=True)
class Pose:
    """Where the head is (nominal units; `head` is half its height), how it is held and lit."""

    x: float
    y: float
    head: float
    turn: float
    tilt: float
    smile: float
    blink: bool
    gaze: float
    light: tuple[float, float, float]
    contrast: float


def shade(colour: Floats, pose: Pose, width: float, scale: float) -> Floats:
    """The flat drawing lit from `pose.light` as a body: head, nose, brow, neck under the chin, round shoulders."""
    x, y = _head_frame(pose, width, scale)
    height = _relief(x, y, pose)
    down, across = np.gradient(height, pose.head * scale / 2)
    down, across = np.clip(down, -0.06, 0.06) * 30, np.clip(across, -0.06, 0.06) * 30
    length = np.sqrt(across**2 + down**2 + 1)
    light = np.asarray(pose.light, np.float32)
    light = light / np.linalg.norm(light)
    facing = (-across * light[0] - down * light[1] + light[2]) / length
    diffuse = 1 + pose.contrast * (np.clip(facing, -0.2, 1) - 0.75)
    chin = np.exp(-(((y - 1.12) / 0.16) ** 2) - (x / 0.62) ** 2) * 0.32
    gloss = np.clip(facing, 0, 1) ** 24 * 26 * pose.contrast
    lit = colour * (diffuse * (1 - chin))[..., None] + gloss[..., None]
    return np.clip(lit, 0, 255).astype(np.float32)


def _head_frame(pose: Pose, width: float, scale: float) -> tuple[Floats, Floats]:
    """Coordinates on the head: ±1 at its sides, −1 at the crown and 1 at the chin, turned with its tilt."""
    x, y = grid(scale)
    angle = np.deg2rad(pose.tilt)
    pivot = pose.y + pose.head
    dx, dy = x - pose.x, y - pivot
    along = dx * np.cos(angle) - dy * np.sin(angle)
    down = dx * np.sin(angle) + dy * np.cos(angle) + pivot - pose.y
    return along / (pose.head * width), down / pose.head


def _relief(x: Floats, y: Floats, pose: Pose) -> Floats:
    """Height of the form towards the viewer, in half heads."""

    def bump(cx: float, cy: float, rx: float, ry: float) -> Floats:
        return np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2)

    turn = pose.turn
    head = np.sqrt(np.clip(1.05 - (x - turn * 0.3) ** 2 - (y * 0.95) ** 2, 0, None))
    body = np.sqrt(np.clip(1.6 - (x / 2.4) ** 2, 0, None)) * 0.6 * (1 / (1 + np.exp(-(y - 1.45) * 12)))
    neck = np.sqrt(np.clip(0.4 - x**2, 0, None)) * 0.5 * ((y > 0.8) & (y < 1.6))
    face = 0.16 * bump(turn * 1.4, 0.12, 0.12, 0.26) + 0.16 * bump(turn * 1.5, 0.28, 0.16, 0.1)
    face = face + 0.07 * bump(turn, -0.24, 0.7, 0.1) + 0.05 * bump(turn * 1.1, 0.57, 0.34, 0.1)
    face = face + 0.06 * (bump(turn - 0.5, 0.24, 0.24, 0.2) + bump(turn + 0.5, 0.24, 0.24, 0.2))
    face = face + 0.06 * bump(turn, 0.84, 0.26, 0.14)
    sockets = 0.07 * (bump(turn - 0.42, -0.05, 0.24, 0.12) + bump(turn + 0.42, -0.05, 0.24, 0.12))
    return (np.maximum(np.maximum(head, body), neck) + face - sockets).astype(np.float32)


def hair_strands(rng: np.random.Generator, colour: Floats, mask: Floats, pose: Pose, scale: float) -> Floats:
    """Fine streaks that run down from the crown, and a sheen, where `mask` says there is hair."""
    x, y = grid(scale)
    angle = np.arctan2(x - pose.x, -(y - pose.y - pose.head * 0.2)) / (2 * np.pi) + 0.5
    radius = np.hypot(x - pose.x, y - pose.y) / pose.head
    table = rng.standard_normal((12, 260)).astype(np.float32)
    column = (angle * 239 + np.sin(radius * 4) * 2 + 10).astype(np.float32)
    streak = _between(table, np.clip(radius * 5, 0, 10.9).astype(np.float32), column)
    sheen = np.exp(-(((radius - 0.86) / 0.12) ** 2)) * 0.2
    factor = 1 + mask * (0.2 * np.clip(streak, -2, 2) + sheen)
    return np.clip(colour * factor[..., None], 0, 255).astype(np.float32)


def _between(table: Floats, row: Floats, column: Floats) -> Floats:
    """Bilinear look-up in a small table."""
    top, left = row.astype(np.int64), column.astype(np.int64)
    down, right = row - top, column - left
    upper = table[top, left] * (1 - right) + table[top, left + 1] * right
    lower = table[top + 1, left] * (1 - right) + table[top + 1, left + 1] * right
    return (upper * (1 - down) + lower * down).astype(np.float32)
