"""What the logs of trainings and predictions say: progress, and words a model does not know.

Pure. `logs` is one growing text in which many things draw bars; only the training's own bar counts, and never
the clock.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a training is doing, in this order."""

    PREPARING = "preparing"
    CAPTIONING = "captioning"
    TRAINING = "training"
    PACKAGING = "packaging"


@dataclass(frozen=True)
class Progress:
    """How far a training is. `step` of `total` belong to the training bar and are 0 before it is drawn."""

    phase: Phase
    step: int
    total: int

    @property
    def percent(self) -> int:
        """Of the training bar, 99 at most: the end is the status's to say."""
        return min(99, self.step * 100 // self.total) if self.total else 0


_LINE_ENDS = re.compile(r"[\r\n]+")
_BAR = re.compile(r"\s*flux_train_replicate:\s*\d{1,3}%\|[^|]*\|\s*(\d{1,9})/(\d{1,9})\b", re.ASCII)
_CAPTIONING = re.compile(
    r"\s*(?:Caption for \S|\S+ is already captioned|Extracted \d+ files? from)", re.ASCII
)
_PACKAGING = re.compile(r"\s*Saved to \S")
_UNKNOWN_WORDS = "Words this small model does not know:"


def parse_progress(logs: str) -> Progress:
    """Phase and training bar of a training's logs so far. Never raises."""
    packaging = False
    for line in reversed(_LINE_ENDS.split(logs)):
        if _PACKAGING.match(line):
            packaging = True
        elif (bar := _BAR.match(line)) and int(bar[2]) > 0:
            step, total = min(int(bar[1]), int(bar[2])), int(bar[2])
            return Progress(Phase.PACKAGING if packaging else Phase.TRAINING, step, total)
        elif _CAPTIONING.match(line):
            return Progress(Phase.CAPTIONING, 0, 0)
    return Progress(Phase.PREPARING, 0, 0)


def unknown_words(logs: str) -> tuple[str, ...]:
    """Words of a prompt that the engine's small model does not know, in order and once each."""
    lines = [line for line in _LINE_ENDS.split(logs) if line.lstrip().startswith(_UNKNOWN_WORDS)]
    named = [word for line in lines for word in re.findall(r'"([^"]+)"', line)]
    return tuple(dict.fromkeys(named))
