"""A member's training: its budget, its bar, and a checkpoint that the stock pipeline loads."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import FluxPipeline
from tests.unit.tiny.conftest import TRIGGER, Watcher

from portraitist.engine.config import packaged_base
from portraitist.engine.tiny import bundle, member

Trained = tuple[Path, Watcher, member.TrainingResult]


def test_a_slower_machine_never_gets_more_steps() -> None:
    budgets = [member.budget(seconds, 240, 5000) for seconds in (0.01, 0.1, 0.2, 0.5, 2, 60)]
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[0] == member.MOST_STEPS
    assert budgets[-1] == member.KNOWN_STEPS, (
        "a slow machine takes longer rather than draw a face nobody knows"
    )


def test_no_more_steps_than_asked_for() -> None:
    assert member.budget(0.001, 240, 30) == 30


def test_the_budget_keeps_the_time_limit() -> None:
    steps = member.budget(0.2, 240, 1000)
    assert member.PREPARE_SECONDS + 0.2 * member.total_steps(steps) <= 240


def test_the_bar_counts_every_step_of_both_parts(trained: Trained) -> None:
    _, watcher, result = trained
    total = member.total_steps(4)
    assert watcher.steps == [(n, total) for n in range(1, total + 1)]
    assert result.steps == total
    assert watcher.phases == ["captioning", "caching", "training", "saving"]
    assert watcher.breaths >= total


def test_a_given_caption_wins_over_the_pixels(trained: Trained) -> None:
    _, watcher, _ = trained
    assert watcher.captions["0.jpg"].startswith("person, in a garden, close-up")
    assert set(watcher.captions) == {"0.jpg", "1.jpg", "2.jpg"}


def test_the_stock_pipeline_loads_a_members_checkpoint(trained: Trained) -> None:
    pipeline = FluxPipeline.from_pretrained(trained[0], dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline(
        f"{TRIGGER} person in a garden",
        width=192,
        height=256,
        num_inference_steps=2,
        max_sequence_length=20,
        generator=torch.Generator().manual_seed(0),
    ).images[0]
    assert picture.size == (192, 256)


def test_training_changes_transformer_words_and_decoder_but_not_the_encoder(
    trained: Trained, base: Path
) -> None:
    first, own = bundle.read(base), bundle.read(trained[0])
    assert _differ(first.transformer, own.transformer)
    assert _differ(first.texts.tokens, own.texts.tokens)
    assert _differ(first.autoencoder.decoder, own.autoencoder.decoder)
    assert not _differ(first.autoencoder.encoder, own.autoencoder.encoder)


def test_a_stopped_training_leaves_no_checkpoint(
    base: Path, photos: list[Path], small_numbers: Callable[[pytest.MonkeyPatch], None], tmp_path: Path
) -> None:
    request = member.TrainingRequest(photos, {}, TRIGGER, 4, 1, base, tmp_path / "model")
    with pytest.MonkeyPatch.context() as patch:
        small_numbers(patch)
        with pytest.raises(InterruptedError):
            member.train(request, Watcher(stop_before=3))
    assert not (tmp_path / "model").exists()


def test_a_training_without_photos_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="photos"):
        member.train(member.TrainingRequest([], {}, TRIGGER, 4, 1, base, tmp_path / "model"), Watcher())


def _differ(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_model_names_no_folder_of_the_machine_that_made_it(base: Path, trained: Trained) -> None:
    for config in [*base.rglob("*.json"), *trained[0].rglob("*.json"), *packaged_base().rglob("*.json")]:
        assert "_name_or_path" not in config.read_text(encoding="utf-8"), config
