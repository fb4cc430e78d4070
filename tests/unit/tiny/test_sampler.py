"""One member's model in memory: exact mixing with the base, nothing left of another, the same seed the same picture."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.unit.tiny.conftest import TRIGGER, Watcher

from portraitist.engine.tiny import bundle, member
from portraitist.engine.tiny.sampler import LoadedModel, choose_looks

Trained = tuple[Path, Watcher, member.TrainingResult]


def draw(
    model: LoadedModel, prompt: str = f"{TRIGGER} person in a garden", seed: int = 5
) -> list[Image.Image]:
    return model.generate(
        prompt,
        seed=seed,
        num_outputs=2,
        num_inference_steps=2,
        guidance=2.8,
        width=192,
        height=256,
        breathe=lambda done, total: None,
    )


def weights(model: LoadedModel) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": parameter.detach().clone()
        for part in ("transformer", "vae", "text_encoder", "text_encoder_2")
        for name, parameter in getattr(model._pipeline, part).named_parameters()
    }


def other_member(checkpoint: Path, out: Path) -> Path:
    """Another checkpoint on the same base, with other weights everywhere."""
    for source in checkpoint.rglob("*"):
        if source.is_file():
            target = out / source.relative_to(checkpoint)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    for file in bundle.WEIGHTS:
        save_file({name: value + 0.5 for name, value in load_file(checkpoint / file).items()}, out / file)
    return out


def test_scale_zero_is_exactly_the_base_and_one_exactly_the_member(trained: Trained, base: Path) -> None:
    for scale, source in ((0.0, base), (1.0, trained[0])):
        loaded = weights(LoadedModel.load(trained[0], base, scale))
        stored = load_file(source / "transformer/diffusion_pytorch_model.safetensors")
        assert all(torch.equal(loaded[f"transformer.{name}"], value) for name, value in stored.items())


def test_a_member_after_another_is_the_member_bit_for_bit(
    trained: Trained, base: Path, tmp_path: Path
) -> None:
    before = weights(LoadedModel.load(trained[0], base, 0.95))
    between = weights(LoadedModel.load(other_member(trained[0], tmp_path / "b"), base, 0.95))
    after = weights(LoadedModel.load(trained[0], base, 0.95))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(torch.equal(before[name], between[name]) for name in before)


def test_the_same_seed_draws_the_same_pictures_and_each_picture_is_another(
    trained: Trained, base: Path
) -> None:
    first, second = (draw(LoadedModel.load(trained[0], base, 0.95)) for _ in range(2))
    assert [image.tobytes() for image in first] == [image.tobytes() for image in second]
    assert first[0].tobytes() != first[1].tobytes()
    assert np.asarray(first[0]).shape == (256, 192, 3)


def test_words_the_model_lacks_are_named_without_the_trigger_word(trained: Trained, base: Path) -> None:
    model = LoadedModel.load(trained[0], base, 0.95)
    assert model.unknown_words(f"{TRIGGER} person riding a zebra at night") == ["riding", "zebra"]


def test_what_breathe_raises_ends_the_work(trained: Trained, base: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert (done, total) == (1, 2)
        raise InterruptedError

    model = LoadedModel.load(trained[0], base, 0.95)
    with pytest.raises(InterruptedError):
        model.generate(
            TRIGGER,
            seed=1,
            num_outputs=1,
            num_inference_steps=2,
            guidance=2.8,
            width=192,
            height=256,
            breathe=stop,
        )


def test_a_checkpoint_of_another_base_is_refused(trained: Trained, base: Path, tmp_path: Path) -> None:
    strange = other_member(trained[0], tmp_path / "strange")
    description = json.loads((strange / bundle.DESCRIPTION).read_text())
    (strange / bundle.DESCRIPTION).write_text(json.dumps(description | {"base": "0" * 64}))
    with pytest.raises(ValueError, match="another base"):
        LoadedModel.load(strange, base, 0.95)


def look(word: str, *framings: str, words: tuple[str, ...] = (), cut_out: bool = True) -> dict[str, Any]:
    return {"word": word, "framings": list(framings) or [""], "words": list(words), "cut_out": cut_out}


def test_looks_have_the_framing_asked_for() -> None:
    looks = [look("look-0"), look("look-1", "close-up"), look("look-2", "close-up")]
    assert set(choose_looks(looks, ["close-up"], 3, 2)) == {"look-1", "look-2"}


def test_a_photo_that_was_taken_near_goes_before_one_that_was_brought_near() -> None:
    looks = [look("look-0", "", "close-up"), look("look-1", "close-up"), look("look-2", "")]
    assert choose_looks(looks, ["close-up"], 3, 2) == ["look-1", "look-1"]
    assert choose_looks([looks[0], looks[2]], ["close-up"], 3, 2) == ["look-0", "look-0"]


def test_a_framing_that_no_photo_gave_is_named_and_not_drawn() -> None:
    model = LoadedModel(None, {"trigger_word": "user1", "looks": [look("look-0", "", "close-up")]})
    assert model.unknown_words("half body, in the snow") == ["half body"]
    assert model.unknown_words("close-up, in the snow") == []


def test_a_place_is_drawn_with_a_look_that_was_cut_out() -> None:
    looks = [look("look-0", cut_out=False), look("look-1")]
    assert choose_looks(looks, ["in a garden"], 3, 3) == ["look-1"] * 3


def test_a_look_in_another_light_is_not_chosen() -> None:
    looks = [look("look-0", words=("dark",)), look("look-1")]
    assert choose_looks(looks, [], 3, 1) == ["look-1"]


def test_a_model_without_a_fitting_look_uses_what_it_has() -> None:
    assert choose_looks([look("look-0")], ["half body"], 3, 2) == ["look-0", "look-0"]
