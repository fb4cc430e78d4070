"""What the tiny model's tests share: a small untrained base, drawn photos, and a quick member training."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from portraitist.engine.tiny import bundle, member, personal, variants
from portraitist.engine.tiny.drawing import draw_selfies

TRIGGER = "userab12cd34ef56"


class Watcher:
    """Progress that remembers what it was told, and stops the training at a step if asked to."""

    def __init__(self, stop_before: int | None = None) -> None:
        self.phases: list[str] = []
        self.captions: dict[str, str] = {}
        self.steps: list[tuple[int, int]] = []
        self.breaths = 0
        self._stop_before = stop_before

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def caption(self, file: str, text: str) -> None:
        self.captions[file] = text

    def step(self, n: int, total: int, loss: float, lr: float) -> None:
        self.steps.append((n, total))

    def breathe(self) -> None:
        self.breaths += 1
        if self._stop_before is not None and len(self.steps) + 1 >= self._stop_before:
            raise InterruptedError


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base nobody trained, with every weight random so that nothing is zero by its start."""
    torch.manual_seed(0)
    parts = bundle.Parts.new()
    with torch.no_grad():
        for parameter in [*parts.transformer.parameters(), *parts.autoencoder.parameters()]:
            parameter.add_(torch.randn_like(parameter) * 0.01)
    path = tmp_path_factory.mktemp("base")
    bundle.write(parts, path, {"recipe": 1})
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for number, picture in enumerate(draw_selfies(7, 3)):
        path = folder / f"{number}.jpg"
        picture.resize((264, 352)).save(path)
        paths.append(path)
    return paths


@pytest.fixture(scope="session")
def small_numbers() -> Callable[[pytest.MonkeyPatch], None]:
    """Shrinks batches and pools, so that a training is a matter of seconds."""

    def shrink(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(variants, "EACH", 2)
        patch.setattr(personal, "REPLAYED", 3)
        patch.setattr(personal, "FLOW_BATCH", 6)
        patch.setattr(personal, "DECODER_BATCH", 2)

    return shrink


@pytest.fixture(scope="session")
def trained(
    base: Path,
    photos: list[Path],
    small_numbers: Callable[[pytest.MonkeyPatch], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Watcher, member.TrainingResult]:
    """A member's checkpoint after four steps, what its watcher saw, and the result."""
    out = tmp_path_factory.mktemp("member") / "model"
    watcher = Watcher()
    with pytest.MonkeyPatch.context() as patch:
        small_numbers(patch)
        request = member.TrainingRequest(photos, {"0.jpg": "in a garden, close-up"}, TRIGGER, 4, 1, base, out)
        result = member.train(request, watcher)
    return out, watcher, result
