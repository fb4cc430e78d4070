"""Cut a person out of a photo without trained weights: colour models, portrait priors, a small graph, a guided filter.

About 0.3 s a photo. It errs on busy backgrounds and says so by returning nothing when it is not sure. Where faces are
is `faces`', what is done with a cut-out is in `variants`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse
from scipy.ndimage import gaussian_filter, label, uniform_filter
from scipy.sparse.linalg import spsolve

from portraitist.engine.tiny.canvas import HEIGHT, WIDTH
from portraitist.engine.tiny.faces import Face

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
ROWS, COLUMNS = 96, 72
"""The graph's grid; a photo is judged at this size."""
ROUNDS = 3
LEAST, MOST = 0.12, 0.9
"""Share of the picture a person may take; anything else is a failed cut-out."""
SURE = 2.05
"""The least score of a cut-out about a face: about what is none they were 1.6 to 2, about true ones 2.2 to 3.2."""


@dataclass(frozen=True)
class _Framing:
    """A guess at where the person is: log odds of every cell, and cells that are surely the person."""

    prior: Floats
    inside: Mask
    head: Mask | None = None
    """Cells that a cut-out with the whole head covers, where that is known."""


def matte_about(photo: Pixels, faces: Sequence[Face]) -> Floats | None:
    """How much each pixel of a 192 × 256 photo is the person, 0 to 1; None where none of the faces holds."""
    return _matte(photo, [_about(face) for face in faces], SURE)


def matte_guessed(photo: Pixels) -> Floats | None:
    """The same without knowing where the face is: in the middle, near, at arm's length or further away."""
    return _matte(photo, _framings(), -np.inf)


def _matte(photo: Pixels, framings: Sequence[_Framing], least: float) -> Floats | None:
    colours = _opponent(photo)
    graph = _graph(colours)
    best: tuple[float, Floats] | None = None
    for framing in framings:
        result = _segment(colours, graph, framing)
        if result is None:
            continue
        score, alpha = result[0], _one_piece(result[1])
        if framing.head is not None:
            score *= float((alpha > 0.5)[framing.head].mean())
        if score >= (best[0] if best else least):
            best = score, alpha
    if best is None:
        return None
    alpha = best[1]
    if not LEAST < float((alpha > 0.5).mean()) < MOST:
        return None
    smooth = Image.fromarray(alpha.astype(np.float32)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    fine = _guided(photo.astype(np.float32).mean(-1) / 255, np.asarray(smooth), radius=4, smoothness=1e-3)
    return np.clip((fine - 0.38) / 0.34, 0, 1).astype(np.float32)


def _grid() -> tuple[Floats, Floats]:
    y, x = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    return (x + 0.5) / COLUMNS, (y + 0.5) / ROWS


def _framings() -> list[_Framing]:
    """Close-up, head and shoulders, half body: a head ellipse over shoulders that widen downwards."""
    x, y = _grid()

    def framing(
        head: tuple[float, float, float], body: float, neck: float, sure: tuple[float, float, float]
    ) -> _Framing:
        rx, ry, cy = head
        face = 1 - np.hypot((x - 0.5) / rx, (y - cy) / ry)
        width = neck + 0.42 * np.clip((y - body + 0.05) / 0.4, 0, 1)
        torso = np.minimum(1.2 * (y - body) / 0.2, (width - np.abs(x - 0.5)) / 0.2)
        prior = np.clip(2.2 * np.maximum(face, torso), -1.6, 1.6).astype(np.float32)
        middle, sx, sy = sure
        inside = np.hypot((x - 0.5) / sx, (y - middle) / sy) < 1
        return _Framing(prior, inside | ((np.abs(x - 0.5) < 0.12) & (y > 0.95)))

    return [
        framing((0.44, 0.46, 0.48), 0.8, 0.3, (0.45, 0.22, 0.25)),
        framing((0.28, 0.31, 0.36), 0.55, 0.22, (0.40, 0.11, 0.14)),
        framing((0.19, 0.22, 0.2), 0.36, 0.22, (0.22, 0.05, 0.07)),
    ]


def _about(face: Face) -> _Framing:
    """A head with its hair about the face, over shoulders; cheeks, eyes and mouth are surely the person."""
    x, y = _grid()
    crown = face.y - 0.08 * face.height
    head = 1 - np.hypot((x - face.x) / (0.74 * face.width), (y - crown) / (0.95 * face.height))
    below = y - (face.y + 0.62 * face.height)
    half = face.width * (0.42 + 1.5 * np.clip((below + 0.05) / (1.2 * face.height), 0, 1))
    torso = np.minimum(2.4 * below / face.height, (half - np.abs(x - face.x)) / 0.2)
    prior = np.clip(2.2 * np.maximum(1.4 * head, torso), -1.6, 1.6).astype(np.float32)
    inside = np.hypot((x - face.x) / (0.42 * face.width), (y - face.y) / (0.52 * face.height)) < 1
    return _Framing(prior, inside | ((np.abs(x - face.x) < 0.12) & (y > 0.95)), head > 0.15)


def _opponent(photo: Pixels) -> Floats:
    """Brightness and two colour differences on the graph's grid."""
    small = Image.fromarray(photo).resize((COLUMNS, ROWS), Image.Resampling.BOX)
    rgb = np.asarray(small, np.float32) / 255
    bright = rgb @ np.array([0.3, 0.59, 0.11], np.float32)
    return np.stack(
        [bright, 1.6 * (rgb[..., 0] - rgb[..., 1]), 1.6 * (rgb[..., 2] - rgb[..., 1])], -1
    ).astype(np.float32)


@dataclass(frozen=True)
class _Graph:
    """Neighbouring cells, how alike they are, and the Laplacian of it all."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weight: Floats
    adjacency: sparse.csr_matrix
    degree: Floats


def _graph(colours: Floats) -> _Graph:
    cells = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    flat = colours.reshape(-1, 3)
    pairs = [(cells[:, :-1].ravel(), cells[:, 1:].ravel()), (cells[:-1].ravel(), cells[1:].ravel())]
    apart = [((flat[a] - flat[b]) ** 2).sum(1) for a, b in pairs]
    spread = float(np.mean([d.mean() for d in apart])) + 1e-5
    first, second = np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])
    weight = np.exp(-np.concatenate(apart) / (0.8 * spread)) + 1e-3
    both = (np.concatenate([first, second]), np.concatenate([second, first]))
    adjacency = sparse.coo_matrix((np.concatenate([weight, weight]), both), (cells.size, cells.size)).tocsr()
    degree = np.asarray(adjacency.sum(1)).ravel()
    return _Graph(first, second, weight, adjacency, degree)


def _segment(colours: Floats, graph: _Graph, framing: _Framing) -> tuple[float, Floats] | None:
    """Alternate colour models and graph smoothing from one framing's guess; a score and the mask."""
    x, y = _grid()
    outside = ((y < 0.14) & ((x < 0.04) | (x > 0.96))) | ((y < 0.025) & ((x < 0.15) | (x > 0.85)))
    edge = -1.3 * ((y < 0.4) & ((x < 0.04) | (x > 0.96)))
    smooth = gaussian_filter(colours, (0.6, 0.6, 0)) / (colours.std() + 0.05)
    features = np.concatenate([smooth, np.stack([x, y], -1) * 0.55], -1).reshape(-1, 5).astype(np.float32)
    alpha: Floats = 1 / (1 + np.exp(-3 * framing.prior))
    rng = np.random.default_rng(0)
    ratio: Floats = np.zeros(ROWS * COLUMNS)
    for turn in range(ROUNDS):
        low, high = (0.12, 0.88) if turn == 0 else (0.25, 0.75)
        back = ((alpha < low) | outside) & ~framing.inside
        front = ((alpha > high) | framing.inside) & ~outside
        if back.sum() < 60 or front.sum() < 60:
            return None
        ratio = _log_ratio(
            features, _some(rng, features[back.ravel()], 400), _some(rng, features[front.ravel()], 600)
        )
        odds = np.clip(1.1 * ratio, -4, 4) + (0.9 if turn < 2 else 0.6) * framing.prior.ravel() + edge.ravel()
        odds = odds - 5 * outside.ravel() + 3 * framing.inside.ravel()
        chance = 1 / (1 + np.exp(-odds))
        trust = 0.03 + 0.12 * np.abs(2 * chance - 1)
        system = (sparse.diags(graph.degree + trust) - graph.adjacency).tocsc()
        alpha = spsolve(system, trust * chance).reshape(ROWS, COLUMNS)
    hard = (alpha > 0.5).ravel()
    cut = hard[graph.first] != hard[graph.second]
    score = np.clip(np.where(hard, ratio, -ratio), -4, 4).mean() - 12 * graph.weight[cut].sum() / hard.size
    return float(score), alpha.astype(np.float32)


def _some(rng: np.random.Generator, rows: Floats, most: int) -> Floats:
    picked: Floats = rows[rng.choice(len(rows), min(most, len(rows)), replace=False)]
    return picked


def _log_ratio(features: Floats, back: Floats, front: Floats) -> Floats:
    """Above zero where a cell looks more like the person than like the background."""
    return (np.log(_distance(features, back) + 4e-3) - np.log(_distance(features, front) + 4e-3)).astype(
        np.float32
    )


def _distance(features: Floats, samples: Floats, nearest: int = 6) -> Floats:
    """Mean squared distance to the nearest few samples."""
    result = np.empty(len(features), np.float32)
    squares = (samples**2).sum(1)
    for start in range(0, len(features), 2048):
        part = features[start : start + 2048]
        apart = (part**2).sum(1)[:, None] + squares[None] - 2 * part @ samples.T
        result[start : start + 2048] = np.partition(apart, nearest, 1)[:, :nearest].mean(1)
    return np.maximum(result, 0)


def _one_piece(alpha: Floats) -> Floats:
    """Only the largest piece of person, and no holes inside it."""
    pieces, count = label(alpha > 0.5)
    if count > 1:
        largest = np.bincount(pieces.ravel())[1:].argmax() + 1
        alpha = alpha * (gaussian_filter((pieces == largest).astype(float), 0.8) > 0.15)
    holes, count = label(alpha < 0.5)
    for number in range(1, count + 1):
        hole = holes == number
        if not (hole[0].any() or hole[:, 0].any() or hole[:, -1].any()):
            alpha = np.where(hole, 0.9, alpha).astype(np.float32)
    return alpha


def _guided(guide: Floats, mask: Floats, radius: int, smoothness: float) -> Floats:
    """He's guided filter: the mask with the guide's edges."""

    def mean(field: Floats) -> Floats:
        result: Floats = uniform_filter(field, 2 * radius + 1)
        return result

    guide_mean, mask_mean = mean(guide), mean(mask)
    slope = (mean(guide * mask) - guide_mean * mask_mean) / (mean(guide * guide) - guide_mean**2 + smoothness)
    return np.clip(mean(slope) * guide + mean(mask_mean - slope * guide_mean), 0, 1).astype(np.float32)
