"""The transformer and how it is trained: rectified flow over packed latents, with bf16 work beside fp32 masters.

Used by the base recipe and by member training alike; what data they bring and how long they go on is theirs.
"""

import copy
from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn

from portraitist.engine.tiny.attention import TrainingAttention
from portraitist.engine.tiny.autoencoder import LATENT_CHANNELS
from portraitist.engine.tiny.compute import COMPUTE
from portraitist.engine.tiny.muon import Muon
from portraitist.engine.tiny.schedule import decay
from portraitist.engine.tiny.text import TOKENS, WIDTH, Texts

PATCH_CHANNELS = 4 * LATENT_CHANNELS
MUON_FACTOR = 10
"""Muon's learning rate over AdamW's."""
ZERO_START = ("norm1.linear", "norm1_context.linear", "norm.linear", "norm_out.linear", "proj_out")


def make_transformer() -> FluxTransformer2DModel:
    """An untrained transformer: one double and three single blocks, 192 wide; modulation and output start at zero."""
    model = FluxTransformer2DModel(
        patch_size=1, in_channels=PATCH_CHANNELS, num_layers=1, num_single_layers=3, attention_head_dim=64,
        num_attention_heads=3, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, guidance_embeds=False,
        axes_dims_rope=(16, 24, 24),
    )  # fmt: skip
    for name, module in model.named_modules():
        inner = name.startswith("single_transformer_blocks") and name.endswith("proj_out")
        if isinstance(module, nn.Linear) and name.endswith(ZERO_START) and not inner:
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return model


def pack(latents: Tensor) -> Tensor:
    """batch × channels × height × width as FluxPipeline packs it: 2 × 2 latents a token."""
    batch, channels, height, width = latents.shape
    blocks = latents.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return blocks.reshape(batch, height * width // 4, 4 * channels)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The reverse of `pack`, for latents of this size."""
    batch, _, channels = tokens.shape
    blocks = tokens.reshape(batch, height // 2, width // 2, channels // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return blocks.reshape(batch, channels // 4, height, width)


def positions(height: int, width: int) -> Tensor:
    """Row and column of every token of a picture so many tokens high and wide, as FluxPipeline numbers them."""
    ids = torch.zeros(height, width, 3)
    ids[..., 1] = torch.arange(height)[:, None]
    ids[..., 2] = torch.arange(width)[None]
    return ids.reshape(-1, 3)


IMAGE_POSITIONS = (8, 6)
"""Tokens down and across of the native 192 × 256."""


class FlowTrainer:
    """Transformer and texts under training: masters in fp32, a working copy in bf16, running averages of both."""

    def __init__(self, transformer: FluxTransformer2DModel, texts: Texts, lr: float, average: float) -> None:
        self.transformer, self.texts, self.lr, self.top = transformer.float(), texts, lr, average
        self.working = copy.deepcopy(transformer).to(COMPUTE)
        self.working.set_attn_processor(TrainingAttention())
        self.masters = list(transformer.parameters())
        self.copies = list(self.working.parameters())
        matrices = [p for name, p in transformer.named_parameters() if _for_muon(name, p)]
        chosen = {id(p) for p in matrices}
        rest = [p for p in self.masters if id(p) not in chosen]
        self.muon = Muon(matrices, lr * MUON_FACTOR)
        self.adam = torch.optim.AdamW(
            [*rest, *texts.parameters()], lr=lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        self.trained = self.masters + texts.parameters()
        self.averages = [p.detach().clone() for p in self.trained]
        self.image_ids = positions(*IMAGE_POSITIONS)
        self.text_ids = torch.zeros(TOKENS, 3)
        self.steps = 0

    def loss(self, clean: Tensor, numbers: Tensor, shift: float, weights: Tensor | None = None) -> Tensor:
        """Mean squared error of the predicted velocity at random noise levels.

        `clean` is batch × tokens × channels, `numbers` the captions' tokens; `shift` moves the logit-normal levels
        towards noise; `weights` (batch × tokens × 1) says where an error counts more.
        """
        level = torch.sigmoid(torch.randn(len(clean)) + shift).to(COMPUTE).float()
        noise = torch.randn_like(clean)
        mixed = torch.lerp(clean, noise, level[:, None, None])
        error = (self.velocity(mixed, numbers, level) - (noise - clean)) ** 2
        return (error if weights is None else error * weights).mean()

    def velocity(self, mixed: Tensor, numbers: Tensor, level: Tensor) -> Tensor:
        """What the working copy says leads from clean to noise at these levels (0 clean, 1 noise)."""
        tokens, pooled = self.texts.encode(numbers)
        result: Tensor = self.working(
            hidden_states=mixed.to(COMPUTE), encoder_hidden_states=tokens.to(COMPUTE),
            pooled_projections=pooled.to(COMPUTE), timestep=level.to(COMPUTE), img_ids=self.image_ids,
            txt_ids=self.text_ids, return_dict=False,
        )[0]  # fmt: skip
        return result.float()

    def step(self, loss: Tensor, factor: float) -> float:
        """One optimiser step at `factor` of the learning rate; returns the loss."""
        loss.backward()
        with torch.no_grad():
            for master, worker in zip(self.masters, self.copies, strict=True):
                if worker.grad is not None:
                    master.grad = worker.grad.float()
                    worker.grad = None
        self.muon.param_groups[0]["lr"] = self.lr * MUON_FACTOR * factor
        self.adam.param_groups[0]["lr"] = self.lr * factor
        self.muon.step()
        self.adam.step()
        for parameter in self.trained:
            parameter.grad = None
        self.steps += 1
        self.refresh()
        with torch.no_grad():
            past = decay(self.steps, self.top)
            torch._foreach_lerp_(self.averages, [p.detach() for p in self.trained], 1 - past)
        return float(loss.detach())

    @torch.no_grad()
    def refresh(self) -> None:
        """Bring the working copy up to the masters."""
        torch._foreach_copy_(self.copies, [p.detach() for p in self.masters])

    @torch.no_grad()
    def settle(self) -> None:
        """Put the running averages in place of the weights: the model to keep."""
        for parameter, average in zip(self.trained, self.averages, strict=True):
            parameter.copy_(average)
        self.refresh()

    def state(self) -> dict[str, Any]:
        """Everything needed to go on training, as tensors and numbers."""
        return {
            "masters": [p.detach() for p in self.trained], "averages": self.averages, "steps": self.steps,
            "muon": self.muon.state_dict(), "adam": self.adam.state_dict(),
        }  # fmt: skip

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        for parameter, average, kept, mean in zip(
            self.trained, self.averages, state["masters"], state["averages"], strict=True
        ):
            parameter.copy_(kept)
            average.copy_(mean)
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.steps = state["steps"]
        self.refresh()


def _for_muon(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim == 2 and "transformer_blocks" in name and "norm" not in name
