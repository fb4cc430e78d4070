"""Small plots over time as points of an SVG, and what they say in words. Pure; colours are the stylesheet's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH, HEIGHT, FOOT = 480, 96, 92
Point = tuple[datetime, float | None]


@dataclass(frozen=True)
class Frame:
    """The time that a plot shows, and how far apart its points are."""

    since: datetime
    until: datetime
    step: timedelta

    def x(self, at: datetime) -> float:
        """Where this time stands."""
        return WIDTH * ((at - self.since) / (self.until - self.since))


@dataclass(frozen=True)
class Plot:
    """A line with the area below it, in as many pieces as it has gaps; and what is read off it."""

    lines: Sequence[str]
    areas: Sequence[str]
    most: float | None
    most_at: datetime | None
    least: float | None


@dataclass(frozen=True)
class Strip:
    """A bar over time: when it was well, when it was not, and nothing where nobody looked. Pieces are (x, width)."""

    well: Sequence[tuple[float, float]]
    away: Sequence[tuple[float, float]]
    away_for: timedelta


def plot(points: Sequence[Point], frame: Frame, *, floor: float = 0, ceiling: float = 1) -> Plot:
    """Values over time. The scale begins at `floor` and reaches to `ceiling` at least, so little looks little."""
    known = [(at, value) for at, value in points if value is not None]
    top = max([ceiling, *(value for _, value in known)])
    pieces = [
        [(frame.x(at), _y(value, floor, top)) for at, value in piece] for piece in _pieces(known, frame.step)
    ]
    peak = max(known, key=lambda point: point[1], default=None)
    return Plot(
        lines=[_path(piece) for piece in pieces],
        areas=[f"{_path(piece)} {piece[-1][0]:.1f},{FOOT} {piece[0][0]:.1f},{FOOT}" for piece in pieces],
        most=None if peak is None else peak[1],
        most_at=None if peak is None else peak[0],
        least=min((value for _, value in known), default=None),
    )


def strip(points: Sequence[tuple[datetime, bool]], frame: Frame) -> Strip:
    """When something answered."""
    width = WIDTH * (frame.step / (frame.until - frame.since))
    spots = {True: list[tuple[float, float]](), False: list[tuple[float, float]]()}
    for at, well in points:
        spots[well].append((round(frame.x(at), 1), round(width, 1)))
    return Strip(spots[True], spots[False], len(spots[False]) * frame.step)


def _pieces(points: Sequence[tuple[datetime, float]], step: timedelta) -> list[list[tuple[datetime, float]]]:
    """The points in runs without a gap; a point that stands alone is drawn as long as its step."""
    pieces: list[list[tuple[datetime, float]]] = []
    for at, value in points:
        if pieces and at - pieces[-1][-1][0] <= 1.5 * step:
            pieces[-1].append((at, value))
        else:
            pieces.append([(at, value)])
    return [piece if len(piece) > 1 else [piece[0], (piece[0][0] + step, piece[0][1])] for piece in pieces]


def _y(value: float, floor: float, top: float) -> float:
    share = (value - floor) / (top - floor) if top > floor else 0
    return FOOT - (FOOT - 8) * min(1, max(0, share))


def _path(piece: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in piece)
