"""The base recipe: drawn portraits → autoencoder → transformer and words → a checkpoint in diffusers format.

`run` is what `portraitist engine init` calls. It keeps what it has made in a work folder beside the checkpoint and
goes on from there with `resume`. What each stage does is in `base_autoencoder` and `base_flow`.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from portraitist.engine.tiny.drawing import portrait

PORTRAITS, LEAVES, HELD_OUT = 3000, 1200, 128
HELD_OUT_SEED = 1_000_000_000
AUTOENCODER_SHARE = 0.35
"""Of the minutes of a first run; a resumed run gives all of its minutes to transformer and words."""
AUTOENCODER = "autoencoder"
Report = Callable[[str], None]


def run(out: Path, minutes: float, resume: bool, report: Report) -> None:
    """Train a base for so many minutes and write it to `out`, a directory that `FluxPipeline.from_pretrained` loads.

    Without `resume` any earlier work is thrown away; with it an interrupted run goes on, and a finished one trains
    transformer and words for `minutes` more.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from portraitist.engine.tiny.compute import use_threads  # noqa: PLC0415  # torch takes seconds

    work = out.with_name(out.name + "-work")
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    use_threads(2)
    seconds = minutes * 60
    if not (work / AUTOENCODER).exists():
        _make_autoencoder(work, seconds * AUTOENCODER_SHARE, report)
        seconds *= 1 - AUTOENCODER_SHARE
    from portraitist.engine.tiny import base_flow  # noqa: PLC0415  # torch takes seconds

    base_flow.run(work, out, seconds, report)


def _make_autoencoder(work: Path, seconds: float, report: Report) -> None:
    from portraitist.engine.tiny import base_autoencoder, pools  # noqa: PLC0415  # torch takes seconds

    report(f"drawing {PORTRAITS} portraits and {LEAVES} pictures of leaves")
    held_out = np.stack([portrait(HELD_OUT_SEED + number)[0] for number in range(HELD_OUT)])
    pictures = base_autoencoder.Pictures(
        pools.portraits(work, PORTRAITS), pools.dead_leaves(work, LEAVES), held_out
    )
    model = base_autoencoder.train(pictures, work / "autoencoder.state", seconds, report)
    model.save_pretrained(work / AUTOENCODER)
