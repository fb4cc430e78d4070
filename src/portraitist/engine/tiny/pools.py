"""Pools of drawn pictures for the base recipe: drawn by several processes, kept on disk, read through memory maps.

What a picture shows is decided in `drawing` and `leaves`; here is only how many are made and where they lie.
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portraitist.engine.tiny.canvas import HEIGHT, WIDTH
from portraitist.engine.tiny.drawing import portrait
from portraitist.engine.tiny.leaves import leaves

Pixels = NDArray[np.uint8]
CHUNK = 32


@dataclass(frozen=True)
class Pool:
    """Pictures (count × 256 × 192 × 3) and their captions, empty for leaves."""

    pictures: Pixels
    captions: list[str]

    def some(self, rng: np.random.Generator, count: int) -> Pixels:
        """A random handful, copied into memory."""
        return np.asarray(self.pictures[np.sort(rng.integers(len(self.pictures), size=count))])


def leaf(seed: int) -> tuple[Pixels, str]:
    """A picture of leaves in the form `make` wants."""
    return leaves(seed), ""


def make(folder: Path, name: str, count: int, draw: Callable[[int], tuple[Pixels, str]]) -> Pool:
    """The named pool in this folder, drawn now unless it is there already."""
    data, words = folder / f"{name}.npy", folder / f"{name}.json"
    if not words.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shape = (count, HEIGHT, WIDTH, 3)
        target = np.lib.format.open_memmap(data, mode="w+", dtype=np.uint8, shape=shape)
        captions = []
        for number, (picture, caption) in enumerate(stream(draw, range(count))):
            target[number] = picture
            captions.append(caption)
        target.flush()
        del target
        words.write_text(json.dumps(captions), encoding="utf-8")
    return Pool(np.load(data, mmap_mode="r"), json.loads(words.read_text(encoding="utf-8")))


def stream(draw: Callable[[int], tuple[Pixels, str]], seeds: range) -> Iterator[tuple[Pixels, str]]:
    """The seeds' pictures in order, drawn by one process for each core and never all in memory."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for start in range(seeds.start, seeds.stop, CHUNK * 8):
            part = range(start, min(start + CHUNK * 8, seeds.stop))
            yield from pool.map(draw, part, chunksize=CHUNK)


def portraits(folder: Path, count: int) -> Pool:
    """Captioned portraits with seeds from 0."""
    return make(folder, "portraits", count, portrait)


def dead_leaves(folder: Path, count: int) -> Pool:
    """Leaves with seeds from 0."""
    return make(folder, "leaves", count, leaf)
