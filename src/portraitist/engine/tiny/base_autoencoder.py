"""Base training of the autoencoder on drawn portraits and dead leaves; resumable.

The encoder is frozen for ever afterwards: every latent, the base's and a member's, is made with it. The decoder is
where each member's own training starts.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from portraitist.engine.tiny.autoencoder import PortraitAutoencoder
from portraitist.engine.tiny.canvas import HEIGHT, WIDTH
from portraitist.engine.tiny.compute import Pacer
from portraitist.engine.tiny.muon import Muon
from portraitist.engine.tiny.pixels import Pixels, add_noise, picture_loss, to_tensor
from portraitist.engine.tiny.pools import Pool
from portraitist.engine.tiny.schedule import decay, rate

SMOOTH_SHARE, SMOOTH_RATE = 0.65, 2e-3
"""AdamW trains everything first. It puts a picture into few smooth latents; Muon from the first step on rebuilds
pictures better and spreads them over latents that no transformer of this size learns (docs/engine-tiny.md)."""
MUON_RATE, BIAS_RATE = 1e-2, 1e-3
"""Of the filters and matrices, and of the biases, in the rest: learns the detail in half of AdamW's time."""
FACE = 1.5
"""Extra weight of the middle of a portrait, where the face is and the detail that makes it one."""
PORTRAITS, LEAVES = 11, 5
"""Of a batch: a third are leaves, so that real photos pass through."""
NOISE = 0.4
"""Latents are spoiled by up to so much of their spread: the decoder learns to finish what the transformer leaves."""
HOLD = 0.5
SAVE_SECONDS = 180
Report = Callable[[str], None]


@dataclass(frozen=True)
class Pictures:
    """What the autoencoder is trained on, and the portraits it is judged by."""

    portraits: Pool
    leaves: Pool
    held_out: Pixels


class _State:
    """Weights, their running average, the optimisers and how far the run has come; one file on disk."""

    _PARTS = ("model", "average", "smooth", "muon", "biases")

    def __init__(self) -> None:
        self.model = PortraitAutoencoder().to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.weights = list(self.model.parameters())
        self.smooth = _adam(self.weights, SMOOTH_RATE)
        self.muon = Muon([w for w in self.weights if w.ndim > 1], MUON_RATE)
        self.biases = _adam([w for w in self.weights if w.ndim == 1], BIAS_RATE)
        self.step = 0
        self.seconds = 0.0

    def save(self, path: Path) -> None:
        state = {name: getattr(self, name).state_dict() for name in self._PARTS}
        state |= {"step": self.step, "seconds": self.seconds}
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def load(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        for name in self._PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.step, self.seconds = state["step"], state["seconds"]

    def optimisers(self, steps: int) -> Sequence[torch.optim.Optimizer]:
        """Those of this step of so many, at its learning rate: each share warms up, holds and falls by itself."""
        turn = round(SMOOTH_SHARE * steps)
        begun, length = (0, turn) if self.step < turn else (turn, steps - turn)
        done = self.step - begun
        factor = rate(done, done / length, warm_up=60, hold=HOLD)
        rates = {self.muon: MUON_RATE, self.biases: BIAS_RATE} if begun else {self.smooth: SMOOTH_RATE}
        for optimiser, top in rates.items():
            optimiser.param_groups[0]["lr"] = top * factor
        return list(rates)


def _adam(weights: list[torch.nn.Parameter], lr: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(weights, lr=lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)


def train(
    pictures: Pictures, state_file: Path, steps: int, report: Report
) -> tuple[PortraitAutoencoder, dict[str, float]]:
    """An autoencoder after so many steps, counting those of an interrupted run in `state_file`.

    With it, what the checkpoint's description says of it: seconds, steps, held-out loss.
    """
    torch.manual_seed(0)
    state = _State()
    if state_file.exists():
        state.load(state_file)
    rng = np.random.default_rng(state.step)
    pacer, weights = Pacer(), face_weights()
    losses: list[float] = []
    begun, saved = time.monotonic() - state.seconds, time.monotonic()
    while state.step < steps:
        optimisers = state.optimisers(steps)
        with pacer:
            losses.append(_step(state, optimisers, _batch(pictures, rng), weights))
        state.seconds = time.monotonic() - begun
        if state.step % 100 == 0:
            report(
                f"autoencoder {state.step}/{steps} steps {state.seconds:.0f} s loss {np.mean(losses[-100:]):.4f}"
            )
        if time.monotonic() - saved > SAVE_SECONDS:
            state.save(state_file)
            saved = time.monotonic()
    state.save(state_file)
    _settle_scale(state.average, pictures.portraits)
    loss = held_out_loss(state.average, pictures.held_out)
    report(f"autoencoder held-out loss {loss:.4f}")
    facts = {"seconds": round(state.seconds), "steps": state.step, "held_out_loss": round(loss, 4)}
    return state.average, facts


def _batch(pictures: Pictures, rng: np.random.Generator) -> Tensor:
    """Portraits and leaves, some mirrored, some with swapped or dimmed colours."""
    mixed = np.concatenate([pictures.portraits.some(rng, PORTRAITS), pictures.leaves.some(rng, LEAVES)])
    if rng.random() < 0.5:
        mixed = mixed[:, :, ::-1]
    batch = to_tensor(mixed)
    chance = rng.random()
    if chance < 0.15:
        batch = batch.flip(1)
    elif chance < 0.3:
        batch = batch * torch.empty(len(batch), 1, 1, 1).uniform_(0.5, 1)
    return batch.contiguous(memory_format=torch.channels_last)


def _step(
    state: _State, optimisers: Sequence[torch.optim.Optimizer], batch: Tensor, weights: Tensor
) -> float:
    with torch.autocast("cpu", torch.bfloat16):
        latents = state.model.encoder(batch).float()
        latents = add_noise(_unit(latents), NOISE)
        made = state.model.decoder(latents)
    loss = picture_loss(made, batch, weights)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.weights, 1.0)
    for optimiser in optimisers:
        optimiser.step()
    state.model.zero_grad()
    with torch.no_grad():
        past = decay(state.step, 0.995)
        torch._foreach_lerp_(list(state.average.parameters()), [w.detach() for w in state.weights], 1 - past)
    state.step += 1
    return float(loss.detach())


def face_weights() -> Tensor:
    """How much each pixel counts, 1 × 1 × height × width: most where a portrait's face is, 1 on average."""
    y = torch.linspace(0, 1, HEIGHT)[:, None]
    x = torch.linspace(0, 1, WIDTH)[None]
    weights = 1 + FACE * torch.exp(-(((y - 0.42) / 0.24) ** 2) - ((x - 0.5) / 0.27) ** 2)
    return (weights / weights.mean())[None, None]


def _unit(latents: Tensor) -> Tensor:
    """Each channel with mean 0 and variance 1 over this batch."""
    mean = latents.mean((0, 2, 3), keepdim=True)
    spread = (latents.var((0, 2, 3), keepdim=True) + 1e-4).sqrt()
    return (latents - mean) / spread


@torch.no_grad()
def _settle_scale(model: PortraitAutoencoder, portraits: Pool) -> None:
    """Make the encoder's own latents mean 0 and variance 1 over portraits, by folding both into its last layer."""
    with torch.autocast("cpu", torch.bfloat16):
        some = np.array(portraits.pictures[:512])
        parts = [model.encode(to_tensor(some[start : start + 32])) for start in range(0, len(some), 32)]
    latents = torch.cat(parts).float()
    mean, spread = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    last = model.encoder.exit.linear
    last.weight.div_(spread[:, None])
    last.bias.sub_(mean).div_(spread)


@torch.no_grad()
def held_out_loss(model: PortraitAutoencoder, pictures: Pixels) -> float:
    """Mean reconstruction loss of portraits the training never saw, without noise."""
    losses = []
    for start in range(0, len(pictures), 32):
        batch = to_tensor(pictures[start : start + 32])
        with torch.autocast("cpu", torch.bfloat16):
            made = model(batch)
        losses.append(float(picture_loss(made, batch)))
    return float(np.mean(losses))
