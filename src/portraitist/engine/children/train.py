"""The process of one training: zip in, complete checkpoint and tar out.

It unpacks and decodes what a caller sent, so whatever that breaks, breaks here alone. Log lines are the cloud
trainer's, in its order.
"""

import json
import os
import time
import traceback
from pathlib import Path
from typing import Any

from portraitist.engine import archive, bars
from portraitist.engine.archive import FOLDER, Unpacked
from portraitist.engine.bars import JOB
from portraitist.engine.children.channel import Canceled, Channel
from portraitist.engine.errors import RunFailed
from portraitist.engine.fields import SAFETY_CHECKER
from portraitist.engine.tiny import member

NICENESS = 10
"""Predictions go first on the processor too."""
ENOUGH_TO_MEASURE = 50
"""Steps after which a training's own pace is worth remembering."""
WITH_EFFECT = frozenset({"input_images", "trigger_word", "steps"})


class Watcher:
    """Turns the trainer's progress into log lines (it is the trainer's `Progress`)."""

    def __init__(self, channel: Channel, captioned: frozenset[str]) -> None:
        self._channel = channel
        self._captioned = captioned
        self._started: float | None = None
        self._paused_s = 0.0
        self.seconds_per_step: float | None = None
        """The pace so far, without the time that predictions took."""
        self.captions: dict[str, str] = {}

    def phase(self, name: str) -> None:
        """A part of the work begins."""
        self._channel.log(f"Phase: {name}")

    def caption(self, file: str, text: str) -> None:
        """The words a photo is trained with; one that came with the photo is not shown again."""
        self.captions[file] = text
        if file in self._captioned:
            self._channel.log(f"{file} is already captioned")
        else:
            self._channel.log(f"Caption for {FOLDER}/{file}: {text}")

    def step(self, n: int, total: int, loss: float, lr: float) -> None:
        """The training bar."""
        if self._started is None:
            self._started = time.monotonic()
            self._channel.log(bars.training_bar(0, total, 0, loss, lr))
        elapsed = time.monotonic() - self._started
        line = bars.training_bar(n, total, elapsed, loss, lr)
        if n > ENOUGH_TO_MEASURE:
            self.seconds_per_step = (elapsed - self._paused_s) / (n - 1)
        if n == total:
            self._channel.log(line)
        else:
            self._channel.bar(line)

    def breathe(self) -> None:
        """Wait while a prediction runs."""
        before = time.monotonic()
        self._channel.breathe()
        if self._started is not None:
            self._paused_s += time.monotonic() - before


def plan_steps(job: dict[str, Any], channel: Channel) -> tuple[int, float | None]:
    """Effective steps and the minutes to expect: a fixed budget, or what the time limit allows."""
    requested, most, seconds = job["requested"], job["max_steps"], job["seconds_per_step"]
    if most is not None:
        return min(requested, most), None
    if seconds is None:
        seconds = member.time_steps(Path(job["base"]))
        channel.send("measured", seconds_per_step=seconds)
    effective = member.budget(seconds, job["train_seconds"], requested)
    return effective, (member.total_steps(effective) * seconds + member.PREPARE_SECONDS) / 60


def train(job: dict[str, Any], channel: Channel) -> None:
    """Do the whole job and report its end."""
    folder = Path(job["folder"])
    photos = archive.unpack(Path(job["archive"]), folder / FOLDER)
    archive.check_pictures(photos.pictures)
    _introduce(job, photos, channel)
    effective, minutes = plan_steps(job, channel)
    channel.log(bars.steps_line(job["requested"], effective, member.total_steps(effective), minutes))
    watcher = Watcher(channel, frozenset(photos.captions))
    request = member.TrainingRequest(
        photos=photos.pictures,
        captions=photos.captions,
        trigger_word=job["trigger_word"],
        steps=effective,
        seed=job["seed"],
        base=Path(job["base"]),
        out=folder / "checkpoint",
    )
    result = member.train(request, watcher)
    if watcher.seconds_per_step is not None:
        channel.send("measured", seconds_per_step=watcher.seconds_per_step)
    from portraitist.engine.children import artefacts  # noqa: PLC0415 (torch: a bad zip need not wait)

    config = {**job["config"], "steps_effective": effective, "seed": job["seed"]}
    names = artefacts.write(folder, request.out, watcher.captions, config)
    channel.log(f"Saved to {names[0]}")
    channel.log("\n".join(names))
    channel.send(
        "done",
        effective={"steps": effective, "optimiser_steps": result.steps, "seed": job["seed"]},
        measured={
            "flow_loss": result.flow_loss,
            "decoder_loss": result.decoder_loss,
            "seconds": result.seconds,
            "peak_rss_bytes": result.peak_rss_bytes,
        },
    )


def _introduce(job: dict[str, Any], photos: Unpacked, channel: Channel) -> None:
    count = len(photos.pictures)
    channel.log(f"Extracted {count} files from zip to {FOLDER}")
    if photos.skipped:
        channel.log(f"Skipped {len(photos.skipped)} files that are neither pictures nor captions")
    channel.log("Starting train job")
    channel.log(json.dumps(job["config"], indent=2))
    idle = sorted(set(job["config"]) - WITH_EFFECT)
    channel.log(f"Without effect on this engine: {', '.join(idle)}")
    channel.log(f"safety_checker: {SAFETY_CHECKER}")
    channel.log(f"# Running job: {JOB}\nRunning  1 process\nLoading Flux model")
    channel.log(f"Dataset: {FOLDER}\n  -  Preprocessing image dimensions\n  -  Found {count} images")


def main() -> None:
    """Take one job and end."""
    os.nice(NICENESS)
    channel = Channel()
    try:
        train(channel.job(), channel)
    except RunFailed as error:
        channel.send("failed", error=str(error))
    except Canceled:
        channel.send("canceled")
    except Exception as error:  # noqa: BLE001 (the process's rim: any fault becomes the run's failure)
        traceback.print_exc()
        channel.send("broken", error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
