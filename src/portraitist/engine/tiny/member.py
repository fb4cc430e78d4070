"""Training one member's complete model from their photos: the public way in, its budget and its phases.

Plain data in, a checkpoint directory out; no network, no database, no job. The two training loops are in `personal`.
Of a trainer's usual hyperparameters only the number of steps and the seed have an effect here (docs/engine-tiny.md).
"""

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

DECODER_SHARE = 0.6
"""Decoder steps for each step of the flow: `steps` in a request means the flow's."""
KNOWN_STEPS, MOST_STEPS = 450, 1200
"""With `KNOWN_STEPS` every face is known again; at 300 every other is smeared where photos differ much, at 180 all are
(looked at, docs/engine-tiny.md). Beyond the most a member's model only learns its photos by heart."""
PREPARE_SECONDS = 30.0
"""Cutting out, drawing and encoding before the first step, and saving after the last, for about 15 photos."""


@dataclass(frozen=True)
class TrainingRequest:
    """All the trainer needs."""

    photos: list[Path]
    captions: dict[str, str]
    trigger_word: str
    steps: int
    seed: int
    base: Path
    out: Path


@dataclass(frozen=True)
class TrainingResult:
    """What a training did: last losses (means over its last steps), steps of both bars, seconds, memory."""

    flow_loss: float
    decoder_loss: float
    steps: int
    seconds: float
    peak_rss_bytes: int


class Progress(Protocol):
    """Who watches a training, and who may hold or stop it."""

    def phase(self, name: str) -> None:
        """A part of the work begins: captioning, caching, training, saving."""

    def caption(self, file: str, text: str) -> None:
        """The words a photo is trained with."""

    def step(self, n: int, total: int, loss: float, lr: float) -> None:
        """An optimiser step is done; flow and decoder count as one bar."""

    def breathe(self) -> None:
        """Called before each step: blocks while a prediction has priority, raises to stop the training."""


def total_steps(steps: int) -> int:
    """Length of the bar for so many effective steps: the flow's and the decoder's."""
    return steps + decoder_steps(steps)


def decoder_steps(steps: int) -> int:
    """The decoder's part of a training of so many effective steps."""
    return max(1, round(steps * DECODER_SHARE))


def budget(seconds_per_step: float, limit_s: float, requested: int) -> int:
    """Effective steps: what was requested, as far as the engine's time limit and `MOST_STEPS` allow.

    `seconds_per_step` is `time_steps`' figure, the mean over flow and decoder steps as a training mixes them. A machine
    too slow for `KNOWN_STEPS` in that time takes longer: a model that can't draw its member is no use at any speed.
    """
    in_time = int((limit_s - PREPARE_SECONDS) / max(1e-6, seconds_per_step * (1 + DECODER_SHARE)))
    return min(requested, MOST_STEPS, max(KNOWN_STEPS, in_time))


def time_steps(base: Path) -> float:
    """Seconds for an average step on this machine as it is now, from a few real steps with one and two threads."""
    from portraitist.engine.tiny import personal  # noqa: PLC0415  # torch takes seconds

    return personal.time_steps(base, DECODER_SHARE)


def train(request: TrainingRequest, progress: Progress) -> TrainingResult:
    """Train the member's model and write it to `request.out`.

    Whatever `progress.breathe` raises ends the training and leaves `out` unwritten. Raises ValueError without
    photos, OSError for a photo that cannot be read.
    """
    from portraitist.engine.tiny import personal  # noqa: PLC0415  # torch takes seconds

    begun = time.monotonic()
    if not request.photos:
        raise ValueError("a training needs photos")
    losses = personal.train(request, progress, decoder_steps(request.steps))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
    return TrainingResult(
        flow_loss=losses[0],
        decoder_loss=losses[1],
        steps=total_steps(request.steps),
        seconds=time.monotonic() - begun,
        peak_rss_bytes=peak,
    )
