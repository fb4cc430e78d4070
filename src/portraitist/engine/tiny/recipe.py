"""The base recipe: drawn portraits → autoencoder → transformer and words → a checkpoint in diffusers format.

`run` is what `portraitist engine init` calls. It keeps what it has made in a work folder beside the checkpoint and
goes on from there when it is given a `start`. What each stage does is in `base_autoencoder` and `base_flow`.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from portraitist.engine.tiny.drawing import portrait

PORTRAITS, LEAVES, HELD_OUT = 3000, 1200, 128
HELD_OUT_SEED = 1_000_000_000
AUTOENCODER_STEPS, FLOW_STEPS = 4000, 6000
"""The recipe counts steps, not minutes: a busy machine takes longer over it and comes to the same base."""
AUTOENCODER, AUTOENCODER_FACTS = "autoencoder", "autoencoder.json"
Report = Callable[[str], None]


def run(out: Path, steps: int, start: Path | None, report: Report) -> None:
    """Train a base and write it to `out`, a directory that `FluxPipeline.from_pretrained` loads.

    `steps` are those of transformer and words; the autoencoder's are always `AUTOENCODER_STEPS`.

    Without `start` any earlier work is thrown away. With it an interrupted run goes on, and a finished one trains
    transformer and words for `steps` more; where no work is left, it goes on from the checkpoint in `out`, or else
    in `start`.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from portraitist.engine.tiny.compute import use_threads  # noqa: PLC0415  # torch takes seconds

    work = out.with_name(out.name + "-work")
    if start is None:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    use_threads(2)
    if start is not None and not any(work.iterdir()):
        _take_up(out if out.exists() else start, work, report)
    if not (work / AUTOENCODER).exists():
        _make_autoencoder(work, report)
    from portraitist.engine.tiny import base_flow  # noqa: PLC0415  # torch takes seconds

    facts = json.loads((work / AUTOENCODER_FACTS).read_text(encoding="utf-8"))
    base_flow.run(work, out, steps, base_flow.TrainedAutoencoder(work / AUTOENCODER, facts), report)


def _make_autoencoder(work: Path, report: Report) -> None:
    from portraitist.engine.tiny import base_autoencoder, pools  # noqa: PLC0415  # torch takes seconds

    report(f"drawing {PORTRAITS} portraits and {LEAVES} pictures of leaves")
    held_out = np.stack([portrait(HELD_OUT_SEED + number)[0] for number in range(HELD_OUT)])
    pictures = base_autoencoder.Pictures(
        pools.portraits(work, PORTRAITS), pools.dead_leaves(work, LEAVES), held_out
    )
    model, description = base_autoencoder.train(
        pictures, work / "autoencoder.state", AUTOENCODER_STEPS, report
    )
    (work / AUTOENCODER_FACTS).write_text(json.dumps(description), encoding="utf-8")
    model.save_pretrained(work / AUTOENCODER)


def _take_up(checkpoint: Path, work: Path, report: Report) -> None:
    """Work that stands where a finished checkpoint stands; only the optimisers' memory is lost."""
    from portraitist.engine.tiny import base_flow, bundle  # noqa: PLC0415  # torch takes seconds

    description = bundle.describe(checkpoint)
    parts = bundle.read(checkpoint)
    base_flow.take_up(work, parts, description)
    (work / AUTOENCODER_FACTS).write_text(json.dumps(description["autoencoder"]), encoding="utf-8")
    parts.autoencoder.save_pretrained(work / AUTOENCODER)
    report(f"going on from a checkpoint of {description['steps']} steps")
