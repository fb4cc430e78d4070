"""Pictures from one member's complete model, through diffusers' own FluxPipeline.

One `LoadedModel` is one member's model in memory, made from files each time, so nothing of another member can stay
behind. Which version that is, and whose, is the engine's business.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FluxPipeline
from PIL import Image
from safetensors.torch import load_file

from portraitist.engine.tiny import bundle
from portraitist.engine.tiny.autoencoder import PortraitAutoencoder
from portraitist.engine.tiny.compute import COMPUTE, MOST_THREADS, use_threads
from portraitist.engine.tiny.text import TOKENS
from portraitist.engine.tiny.words import BACKDROPS, FRAMINGS, LIGHTS, PERSON, PLACES, TONES, normalise

sizes: dict[str, tuple[int, int]] = {"3:4": (192, 256)}
"""Width and height for each aspect ratio the tiny model draws well."""
AUTOENCODER_MODULE = PortraitAutoencoder.__module__
"""FluxPipeline finds the autoencoder by this name; importing this module has made it known."""
_PARTS = dict(
    zip(("transformer", "vae", "text_encoder", "text_encoder_2"), bundle.WEIGHTS, strict=True)
)  # component of the pipeline → its file


class LoadedModel:
    """One complete member model, ready to draw."""

    def __init__(self, pipeline: FluxPipeline, description: dict[str, Any]) -> None:
        self._pipeline = pipeline
        self._trigger: str = description["trigger_word"]
        self._looks: list[dict[str, Any]] = description["looks"]

    @classmethod
    def load(cls, checkpoint: Path, base: Path, lora_scale: float) -> "LoadedModel":
        """The member's model at W₀ + s·(W − W₀): 0 is the base, 1 the member's weights as they are.

        Every weight is read from the two directories, none from what was loaded before. Raises OSError where a file
        is missing and ValueError where the checkpoint was trained on another base.
        """
        description = bundle.describe(checkpoint)
        if description["base"] != bundle.digest(base):
            raise ValueError("this model was trained on another base checkpoint than the one given")
        use_threads(MOST_THREADS)
        bundle.quiet()
        pipeline = FluxPipeline.from_pretrained(checkpoint, dtype=COMPUTE)
        pipeline.set_progress_bar_config(disable=True)
        for name, file in _PARTS.items():
            own, first = load_file(checkpoint / file), load_file(base / file)
            _fill(getattr(pipeline, name), _between(first, own, lora_scale))
        pipeline.vae.to(memory_format=torch.channels_last)
        return cls(pipeline, description)

    def generate(
        self, prompt: str, *, seed: int, num_outputs: int, num_inference_steps: int, guidance: float, width: int,
        height: int, breathe: Callable[[int, int], None],
    ) -> list[Image.Image]:  # fmt: skip
        """Pictures of the prompt; the same (seed, number of outputs) give the same pictures.

        `guidance` is true classifier-free guidance. `breathe` is called with steps done and steps in all after each;
        what it raises ends the work. Words the vocabulary lacks are passed over: ask `unknown_words` for them.
        """
        words = [word for word in self._words(prompt)[0] if word not in self._unseen_framings()]
        looks = choose_looks(self._looks, words, seed, num_outputs)
        texts = [", ".join(part for part in (self._trigger, PERSON, look, *words) if part) for look in looks]

        def after(pipeline: object, step: int, time: object, kept: dict[str, Any]) -> dict[str, Any]:
            breathe(step + 1, num_inference_steps)
            return kept

        result = self._pipeline(
            texts, negative_prompt=[""] * num_outputs, true_cfg_scale=guidance, width=width, height=height,
            num_inference_steps=num_inference_steps, max_sequence_length=TOKENS,
            generator=[torch.Generator().manual_seed(seed * 1000 + index) for index in range(num_outputs)],
            callback_on_step_end=after, callback_on_step_end_tensor_inputs=[], output_type="pil",
        )  # fmt: skip
        pictures: list[Image.Image] = result.images
        return pictures

    def unknown_words(self, prompt: str) -> list[str]:
        """The prompt's words that this model cannot draw, in order: the vocabulary's gaps, and unseen framings."""
        words, unknown = self._words(prompt)
        return unknown + [word for word in words if word in self._unseen_framings()]

    def _words(self, prompt: str) -> tuple[list[str], list[str]]:
        """The vocabulary's words in a prompt, and the others."""
        caption, unknown = normalise(self._without_trigger(prompt))
        return caption.split(", ")[1:], unknown

    def _unseen_framings(self) -> set[str]:
        """Framings that no photo of this member gave: asked for one of them, the model would draw nothing good."""
        return set(FRAMINGS).difference(*(look["framings"] for look in self._looks)) if self._looks else set()

    def _without_trigger(self, prompt: str) -> str:
        return re.sub(rf"\b{re.escape(self._trigger)}\b", " ", prompt, flags=re.IGNORECASE)


def _between(
    first: dict[str, torch.Tensor], own: dict[str, torch.Tensor], scale: float
) -> dict[str, torch.Tensor]:
    """first + scale · (own − first), exact at 0 and at 1."""
    return {
        name: torch.lerp(first[name].float(), weight.float(), scale).to(weight.dtype)
        for name, weight in own.items()
    }


@torch.no_grad()
def _fill(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Overwrite every parameter; one that no file covers would be a remainder of something else."""
    parameters = dict(module.named_parameters())
    if parameters.keys() != weights.keys():
        raise ValueError(
            f"the checkpoint does not cover the model: {sorted(parameters.keys() ^ weights.keys())}"
        )
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])


def choose_looks(looks: list[dict[str, Any]], words: list[str], seed: int, count: int) -> list[str]:
    """A look's word for each picture, chosen by the seed among the photos that fit what is asked, all different first.

    A photo fits when the framing asked for is its own, or else one of its variants'; for a place its person must have
    been cut out; and its own light must not be another than the one asked for.
    """
    framing = next((word for word in words if word in FRAMINGS), "")
    tests: list[Callable[[dict[str, Any]], bool]] = [
        lambda look: look["framings"][0] == framing,
        lambda look: framing in look["framings"],
        lambda look: look["cut_out"] or not any(word in PLACES + BACKDROPS for word in words),
        lambda look: all(word in words for word in look["words"] if word in LIGHTS + TONES),
    ]
    fitting = looks
    for test in tests:
        fitting = [look for look in fitting if test(look)] or fitting
    if not fitting:
        return [""] * count
    order = np.random.default_rng(seed).permutation(len(fitting))
    return [str(fitting[order[index % len(order)]]["word"]) for index in range(count)]
