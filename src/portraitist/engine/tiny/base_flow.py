"""Base training of transformer and words on the latents of drawn portraits; resumable.

Portraits are drawn, encoded and dropped: a latent is 6 KB where a picture is 150. Writes the checkpoint while it
trains, so that a base can be tried before it is done.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from portraitist.engine.tiny import bundle
from portraitist.engine.tiny.autoencoder import PortraitAutoencoder
from portraitist.engine.tiny.compute import Pacer
from portraitist.engine.tiny.drawing import portrait
from portraitist.engine.tiny.flow import FlowTrainer, make_transformer, pack
from portraitist.engine.tiny.pixels import Pixels, to_tensor
from portraitist.engine.tiny.pools import portraits, stream
from portraitist.engine.tiny.schedule import rate
from portraitist.engine.tiny.text import Texts

LEARNING_RATE = 2e-3
AVERAGE = 0.999
BATCH = 48
SHIFT = 0.4
"""Noise levels are moved towards noise: the decoder finishes what is left."""
NO_CAPTION = 0.1
"""How often a caption is left out, for guidance."""
HOLD = 0.6
FIRST_PORTRAITS, MORE_PORTRAITS = 7000, 5000
"""Drawn for the first run, and again for each later one."""
HELD_OUT, HELD_OUT_SEED = 384, 1_000_000_000
SAVE_SECONDS, WRITE_SECONDS = 180, 480
Report = Callable[[str], None]


@dataclass(frozen=True)
class Latents:
    """Packed latents (count × tokens × channels) and the captions' token numbers."""

    clean: Tensor
    numbers: Tensor


def run(work: Path, out: Path, steps: int, trained: "TrainedAutoencoder", report: Report) -> None:
    """Train for so many steps, from where `work` stands, and write the checkpoint to `out`."""
    torch.manual_seed(0)
    begun = time.monotonic()
    autoencoder = PortraitAutoencoder.from_pretrained(trained.folder).to(memory_format=torch.channels_last)
    texts = Texts.new()
    trainer = FlowTrainer(make_transformer(), texts, LEARNING_RATE, AVERAGE)
    history = _restore(work, trainer)
    drawn = FIRST_PORTRAITS + MORE_PORTRAITS * len(history)
    held_out = latents(work, range(HELD_OUT_SEED, HELD_OUT_SEED + HELD_OUT), texts, autoencoder, report)
    data = latents(work, range(drawn), texts, autoencoder, report)
    run = _Run(work, out, trainer, autoencoder, trained.facts, data, held_out, history, report)
    run.train(begun, steps)
    run.finish(time.monotonic() - begun)


@dataclass(frozen=True)
class TrainedAutoencoder:
    """Where a finished autoencoder lies, and what the checkpoint's description says of it."""

    folder: Path
    facts: Mapping[str, float]


@dataclass
class _Run:
    """One sitting: what is trained, on what, and where it is kept."""

    work: Path
    out: Path
    trainer: FlowTrainer
    autoencoder: PortraitAutoencoder
    autoencoder_facts: Mapping[str, float]
    data: Latents
    held_out: Latents
    history: list[float]
    report: Report

    def train(self, begun: float, steps: int) -> None:
        pacer = Pacer()
        losses: list[float] = []
        torch.manual_seed(self.trainer.steps + 1)
        saved = written = time.monotonic()
        falls = False
        while len(losses) < steps:
            now, fraction = time.monotonic(), len(losses) / steps
            with pacer:
                factor = rate(self.trainer.steps, fraction, warm_up=40, hold=HOLD, floor=0.01)
                losses.append(self.trainer.step(self._loss(), factor))
            if self.trainer.steps % 200 == 0:
                self._tell(now - begun, f"{len(losses)}/{steps}", losses, pacer)
            if not falls and (fraction >= HOLD or now - saved > SAVE_SECONDS):
                self.save()
                saved, falls = now, fraction >= HOLD
            if now - written > WRITE_SECONDS:
                self._write(now - begun, finished=False)
                written = now

    def _tell(self, seconds: float, done: str, losses: list[float], pacer: Pacer) -> None:
        mean = np.mean(losses[-200:])
        self.report(f"flow {done} steps {seconds:.0f} s {pacer.threads} threads loss {mean:.4f}")

    def _loss(self) -> Tensor:
        chosen = torch.randint(len(self.data.clean), (BATCH,))
        numbers = self.data.numbers[chosen].clone()
        numbers[torch.rand(BATCH) < NO_CAPTION] = self.trainer.texts.numbers([""])[0]
        return self.trainer.loss(self.data.clean[chosen].float(), numbers, SHIFT)

    def save(self) -> None:
        """Keep the state before the learning rate falls: a later sitting goes on at its full height."""
        path = self.work / "flow.state"
        torch.save(self.trainer.state(), path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def finish(self, seconds: float) -> None:
        self._write(seconds, finished=True)
        (self.work / "history.json").write_text(json.dumps([*self.history, seconds]), encoding="utf-8")

    def _write(self, seconds: float, *, finished: bool) -> None:
        """The checkpoint with the averaged weights, judged on portraits the training never saw."""
        weights = [p.detach().clone() for p in self.trainer.trained]
        self.trainer.settle()
        loss = held_out_loss(self.trainer, self.held_out)
        description = {
            "recipe": 1, "finished": finished, "steps": self.trainer.steps, "portraits": len(self.data.clean),
            "seconds": round(sum(self.history) + seconds), "held_out_loss": round(loss, 4), "batch": BATCH,
            "learning_rate": LEARNING_RATE, "shift": SHIFT, "size": [192, 256],
            "autoencoder": dict(self.autoencoder_facts),
        }  # fmt: skip
        parts = bundle.Parts(self.trainer.transformer, self.trainer.texts, self.autoencoder)
        bundle.write(parts, self.out, description)
        with torch.no_grad():
            for parameter, kept in zip(self.trainer.trained, weights, strict=True):
                parameter.copy_(kept)
        self.trainer.refresh()
        self.report(f"flow written after {self.trainer.steps} steps, held-out loss {loss:.4f}")


def take_up(work: Path, parts: bundle.Parts, description: Mapping[str, Any]) -> None:
    """Make `work` stand where a checkpoint with this description stands, for a run to go on from."""
    trainer = FlowTrainer(parts.transformer, parts.texts, LEARNING_RATE, AVERAGE)
    trainer.steps = int(description["steps"])
    torch.save(trainer.state(), work / "flow.state")
    (work / "history.json").write_text(json.dumps([description["seconds"]]), encoding="utf-8")


def _restore(work: Path, trainer: FlowTrainer) -> list[float]:
    """The last state into the trainer; seconds of the finished sittings before this one."""
    if (work / "flow.state").exists():
        trainer.restore(torch.load(work / "flow.state", weights_only=True))
    history = work / "history.json"
    return list(json.loads(history.read_text(encoding="utf-8"))) if history.exists() else []


def latents(
    work: Path, seeds: range, texts: Texts, autoencoder: PortraitAutoencoder, report: Report
) -> Latents:
    """Latents of the seeds' portraits, drawn and encoded in parts of 500 that are kept in `work`."""
    folder = work / "latents"
    folder.mkdir(exist_ok=True)
    clean: list[Tensor] = []
    captions: list[str] = []
    for start in range(seeds.start, seeds.stop, 500):
        part = range(start, min(start + 500, seeds.stop))
        data, words = folder / f"{start}.safetensors", folder / f"{start}.json"
        if not words.exists():
            pictures = _pictures(work, part)
            save_file({"clean": encode(autoencoder, [p for p, _ in pictures]).bfloat16()}, data)
            words.write_text(json.dumps([caption for _, caption in pictures]), encoding="utf-8")
            report(f"flow drew portraits {part.start} to {part.stop}")
        clean.append(load_file(data)["clean"])
        captions += json.loads(words.read_text(encoding="utf-8"))
    return Latents(torch.cat(clean), texts.numbers(captions))


def _pictures(work: Path, seeds: range) -> list[tuple[Pixels, str]]:
    """The seeds' portraits: those the autoencoder was trained on are there, the others are drawn."""
    kept = portraits(work, 0) if (work / "portraits.json").exists() else None
    if kept is not None and seeds.stop <= len(kept.captions):
        return [(kept.pictures[seed], kept.captions[seed]) for seed in seeds]
    return list(stream(portrait, seeds))


@torch.no_grad()
def encode(autoencoder: PortraitAutoencoder, pictures: Sequence[Pixels]) -> Tensor:
    """Packed latents of pictures of the native size."""
    parts = []
    for start in range(0, len(pictures), 32):
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(autoencoder.encode(to_tensor(np.stack(pictures[start : start + 32]))).float())
    return pack(torch.cat(parts))


@torch.no_grad()
def held_out_loss(trainer: FlowTrainer, data: Latents) -> float:
    """The training's loss on these latents with noise that is the same each time."""
    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for start in range(0, len(data.clean), BATCH):
            part = slice(start, start + BATCH)
            losses.append(float(trainer.loss(data.clean[part].float(), data.numbers[part], SHIFT)))
    return float(np.mean(losses))
