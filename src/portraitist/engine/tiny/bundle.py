"""A complete tiny FLUX as a directory in diffusers format: written, read, described by `portraitist.json`.

The directory is what `FluxPipeline.from_pretrained` loads. What the description says is the writer's business.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextModel, PreTrainedTokenizerFast, T5EncoderModel
from transformers.utils import logging as transformers_logging

from portraitist.engine.tiny.autoencoder import PortraitAutoencoder
from portraitist.engine.tiny.flow import make_transformer
from portraitist.engine.tiny.text import Texts

DESCRIPTION = "portraitist.json"
WEIGHTS = (
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
    "text_encoder_2/model.safetensors",
)


@dataclass
class Parts:
    """The trained parts of one model, in fp32 while they are worked on."""

    transformer: FluxTransformer2DModel
    texts: Texts
    autoencoder: PortraitAutoencoder

    @classmethod
    def new(cls) -> "Parts":
        """Untrained parts in the shapes of the shipped base."""
        return cls(make_transformer(), Texts.new(), PortraitAutoencoder())


def quiet() -> None:
    """Keep the libraries' progress bars and remarks (custom autoencoder, missing extras) out of our output."""
    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()


def write(parts: Parts, out: Path, description: Mapping[str, object]) -> None:
    """The whole model as bf16 files in `out`, with its description."""
    quiet()
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0),
        vae=_stored(parts.autoencoder),
        text_encoder=_stored(parts.texts.pooled),
        tokenizer=parts.texts.tokenizer,
        text_encoder_2=_stored(parts.texts.tokens),
        tokenizer_2=parts.texts.tokenizer,
        transformer=_stored(parts.transformer),
    )
    pipeline.save_pretrained(out, safe_serialization=True)
    for config in out.glob("*/config.json"):
        _forget_origin(config)
    (out / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _forget_origin(config: Path) -> None:
    """Take out the folder that a part was read from: a path of this machine is nobody's business."""
    values = json.loads(config.read_text(encoding="utf-8"))
    if values.pop("_name_or_path", None) is not None:
        config.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _stored(module: torch.nn.Module) -> torch.nn.Module:
    return copy.deepcopy(module).to(torch.bfloat16).eval()


def read(path: Path) -> Parts:
    """The parts of a model for training, in fp32."""
    quiet()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path / "tokenizer")
    pooled = CLIPTextModel.from_pretrained(path / "text_encoder", dtype=torch.float32)
    tokens = T5EncoderModel.from_pretrained(path / "text_encoder_2", dtype=torch.float32)
    autoencoder = PortraitAutoencoder.from_pretrained(path / "vae", torch_dtype=torch.float32)
    transformer = FluxTransformer2DModel.from_pretrained(path / "transformer", torch_dtype=torch.float32)
    return Parts(transformer, Texts(tokenizer, pooled, tokens), autoencoder)


def describe(path: Path) -> dict[str, Any]:
    """What `portraitist.json` of this model says."""
    description: dict[str, Any] = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    return description


def digest(path: Path) -> str:
    """SHA-256 over the weights of a model, in a fixed order."""
    total = hashlib.sha256()
    for name in WEIGHTS:
        total.update(hashlib.sha256((path / name).read_bytes()).digest())
    return total.hexdigest()
