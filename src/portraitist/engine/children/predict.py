"""The resident process that draws: one job at a time, one complete model in memory.

It is given folders that the worker has verified; whose model that is, it does not know.
"""

import time
import traceback
from pathlib import Path
from typing import Any

from PIL import Image

from portraitist.engine import bars
from portraitist.engine.children.channel import Canceled, Channel
from portraitist.engine.errors import RunFailed
from portraitist.engine.fields import SAFETY_CHECKER
from portraitist.engine.tiny import sampler
from portraitist.engine.tiny.sampler import LoadedModel

BAR_EVERY_S = 0.5
_PILLOW = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


class Easel:
    """The model that was drawn with last, kept while the same one is asked for at the same scale."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._loaded: tuple[tuple[str, float], LoadedModel] | None = None

    def _model(self, job: dict[str, Any], scale: float) -> LoadedModel:
        key = (job["version"], scale)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None
            self._loaded = (key, LoadedModel.load(Path(job["checkpoint"]), Path(job["base"]), scale))
        return self._loaded[1]

    def draw(self, job: dict[str, Any]) -> list[str]:
        """Draw the pictures of one job into its folder; returns their file names."""
        wish = job["input"]
        self._channel.log(f"Using seed: {job['seed']}")
        self._channel.log(f"safety_checker: {SAFETY_CHECKER}")
        model = self._model(job, float(wish["lora_scale"]))
        if words := model.unknown_words(wish["prompt"]):
            self._channel.log(bars.unknown_words(words))
        width, height = sampler.sizes[wish["aspect_ratio"]]
        pictures = model.generate(
            wish["prompt"],
            seed=job["seed"],
            num_outputs=int(wish["num_outputs"]),
            num_inference_steps=int(wish["num_inference_steps"]),
            guidance=float(wish["guidance_scale"]),
            width=width,
            height=height,
            breathe=Breather(self._channel, time.monotonic()),
        )
        return [self._save(picture, index, job) for index, picture in enumerate(pictures)]

    def _save(self, picture: Image.Image, index: int, job: dict[str, Any]) -> str:
        suffix, quality = job["input"]["output_format"], int(job["input"]["output_quality"])
        name = f"out-{index}.{suffix}"
        options = {} if suffix == "png" else {"quality": quality}
        picture.convert("RGB").save(Path(job["folder"]) / name, _PILLOW[suffix], **options)
        return name


class Breather:
    """Called after each step: shows the bar now and then, and stops when canceled."""

    def __init__(self, channel: Channel, started: float) -> None:
        self._channel = channel
        self._started = started
        self._shown = 0.0

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` steps are made."""
        self._channel.breathe()
        now = time.monotonic()
        if done == total or now - self._shown >= BAR_EVERY_S:
            self._shown = now
            self._channel.bar(bars.sampler_bar(done, total, now - self._started))


def main() -> None:
    """Draw until the worker ends."""
    channel = Channel()
    easel = Easel(channel)
    while True:
        job = channel.job()
        try:
            channel.send("done", files=easel.draw(job))
        except RunFailed as error:
            channel.send("failed", error=str(error))
        except Canceled:
            channel.send("canceled")
        except Exception as error:  # noqa: BLE001 (the process's rim: any fault becomes the run's failure)
            traceback.print_exc()
            channel.send("broken", error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
