"""The loops of a member's training: transformer and words, then the decoder. All weights of both are trained.

The encoder stays the base's, so latents are made once and the two are trained apart. The decoder learns to make the
member's photos from spoiled latents and from the member's own transformer's guesses: that is what carries a likeness.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from portraitist.engine.tiny import bundle, photos, variants
from portraitist.engine.tiny.autoencoder import PortraitAutoencoder
from portraitist.engine.tiny.base_flow import encode
from portraitist.engine.tiny.compute import Pacer
from portraitist.engine.tiny.drawing import portrait
from portraitist.engine.tiny.flow import IMAGE_POSITIONS, FlowTrainer, pack, unpack
from portraitist.engine.tiny.muon import Muon
from portraitist.engine.tiny.pixels import add_noise, picture_loss, to_tensor
from portraitist.engine.tiny.schedule import decay, rate
from portraitist.engine.tiny.text import make_tokenizer
from portraitist.engine.tiny.words import LOOKS, PERSON

if TYPE_CHECKING:
    from portraitist.engine.tiny.member import Progress, TrainingRequest

FLOW_RATE = 2e-3
DECODER_RATE, BIAS_RATE = 1.5e-2, 1e-3
"""Muon's for the decoder's filters, AdamW's for its biases."""
FLOW_BATCH, DECODER_BATCH = 24, 16
"""Many small flow steps: in the same time they end at a clearly lower loss than half as many of 48 at half the rate."""
FLOW_AVERAGE, DECODER_AVERAGE = 0.99, 0.98
SHIFT = 0.5
REPLAYED, REPLAY_SEED = 240, 500_000_000
"""Drawn portraits trained along, so that the words stay alive."""
REPLAY_SHARE = 0.1
NO_LOOK, NO_CAPTION = 0.1, 0.1
FACE = 1.0
"""Extra weight of the face's tokens."""
NOISE, GUESSED, GUESS_LEVEL = 0.4, 0.5, 0.6
"""The decoder's inputs: noise up to so much, and in so many steps the transformer's guess from up to this level."""
GUIDED = 2.8
"""Guesses are guided by up to so much, as the sampler's are: guided latents are stronger than real ones."""
LATENT_SIZE = (16, 12)
Report = Callable[[float, float], None]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Data:
    """Variants with their latents and texts, and the replayed drawings'."""

    variants: list[variants.Variant]
    clean: Tensor
    numbers: Tensor
    without_look: Tensor
    weights: Tensor
    replay: Tensor
    replay_numbers: Tensor


def train(request: "TrainingRequest", progress: "Progress", decoder_steps: int) -> tuple[float, float]:
    """Phases from photos to a written checkpoint; the mean losses of the last flow and decoder steps."""
    torch.manual_seed(request.seed)
    progress.phase("captioning")
    shown = photos.load_all(request.photos, request.captions)
    for photo in shown:
        progress.caption(photo.name, photo.caption)
    progress.phase("caching")
    progress.breathe()
    parts = bundle.read(request.base)
    parts.autoencoder.to(memory_format=torch.channels_last)
    parts.texts.tokenizer = make_tokenizer(request.trigger_word)
    data = _prepare(shown, parts, request)
    progress.phase("training")
    total, done = request.steps + decoder_steps, 0

    def tell(loss: float, lr: float) -> None:
        nonlocal done
        done += 1
        progress.step(done, total, loss, lr)

    trainer = FlowTrainer(parts.transformer, parts.texts, FLOW_RATE, FLOW_AVERAGE)
    flow_loss = _train_flow(trainer, data, request.steps, progress.breathe, tell)
    decoder = _Decoder(parts.autoencoder, trainer, data)
    decoder_loss = decoder.train(decoder_steps, progress.breathe, tell)
    progress.phase("saving")
    bundle.write(parts, request.out, _description(request, shown))
    return flow_loss, decoder_loss


def _prepare(shown: list[photos.Photo], parts: bundle.Parts, request: "TrainingRequest") -> _Data:
    made = variants.make(shown, np.random.default_rng(request.seed))
    texts = parts.texts
    trigger = request.trigger_word.lower()
    looked = [_text(trigger, LOOKS[variant.photo], variant.words) for variant in made]
    bare = [_text(trigger, "", variant.words) for variant in made]
    drawn = [portrait(REPLAY_SEED + number) for number in range(REPLAYED)]
    return _Data(
        variants=made,
        clean=encode(parts.autoencoder, [variant.pixels for variant in made]),
        numbers=texts.numbers(looked),
        without_look=texts.numbers(bare),
        weights=variants.token_weights(made, FACE),
        replay=encode(parts.autoencoder, [picture for picture, _ in drawn]),
        replay_numbers=texts.numbers([caption for _, caption in drawn]),
    )


def _text(trigger: str, look: str, words: str) -> str:
    return ", ".join(part for part in (trigger, PERSON, look, words) if part)


def _train_flow(
    trainer: FlowTrainer, data: _Data, steps: int, breathe: Callable[[], None], tell: Report
) -> float:
    """So many steps of transformer and words, averaged at the end; the mean of the last losses."""
    pacer, losses = Pacer(), []
    empty = trainer.texts.numbers([""])[0]
    for step in range(steps):
        breathe()
        factor = rate(step, step / steps, warm_up=min(40, max(1, steps // 4)), hold=0.5, floor=0.01)
        with pacer:
            losses.append(trainer.step(_flow_loss(trainer, data, empty), factor))
        tell(losses[-1], FLOW_RATE * factor)
    trainer.settle()
    logger.info("flow: %d steps, %.0f s, %d threads", steps, pacer.seconds, pacer.threads)
    return float(np.mean(losses[-50:]))


def _flow_loss(trainer: FlowTrainer, data: _Data, empty: Tensor) -> Tensor:
    replayed = round(FLOW_BATCH * REPLAY_SHARE)
    chosen = torch.randint(len(data.clean), (FLOW_BATCH - replayed,))
    drawn = torch.randint(len(data.replay), (replayed,))
    bare = torch.rand(len(chosen)) < NO_LOOK
    own = torch.where(bare[:, None], data.without_look[chosen], data.numbers[chosen])
    numbers = torch.cat([own, data.replay_numbers[drawn]])
    numbers[torch.rand(FLOW_BATCH) < NO_CAPTION] = empty
    weights = torch.cat([data.weights[chosen], torch.ones(replayed, data.weights.shape[1], 1)])
    return trainer.loss(torch.cat([data.clean[chosen], data.replay[drawn]]), numbers, SHIFT, weights)


class _Decoder:
    """The decoder under training, fed by the finished transformer."""

    def __init__(self, autoencoder: PortraitAutoencoder, trainer: FlowTrainer, data: _Data) -> None:
        self.decoder = autoencoder.decoder
        self.trainer, self.data = trainer, data
        self.weights = list(self.decoder.parameters())
        self.averages = [w.detach().clone() for w in self.weights]
        self.muon = Muon([w for w in self.weights if w.ndim > 1], DECODER_RATE)
        biases = [w for w in self.weights if w.ndim == 1]
        self.adam = torch.optim.AdamW(biases, lr=BIAS_RATE, betas=(0.9, 0.99), weight_decay=0.0)

    def train(self, steps: int, breathe: Callable[[], None], tell: Report) -> float:
        """So many steps, averaged at the end; the mean of the last losses."""
        pacer, losses = Pacer(), []
        for step in range(steps):
            breathe()
            factor = rate(step, step / steps, warm_up=min(20, max(1, steps // 4)), hold=0.5)
            with pacer:
                losses.append(self.step(factor))
                with torch.no_grad():
                    past = decay(step + 1, DECODER_AVERAGE)
                    torch._foreach_lerp_(self.averages, [w.detach() for w in self.weights], 1 - past)
            tell(losses[-1], DECODER_RATE * factor)
        with torch.no_grad():
            for weight, average in zip(self.weights, self.averages, strict=True):
                weight.copy_(average)
        logger.info("decoder: %d steps, %.0f s, %d threads", steps, pacer.seconds, pacer.threads)
        return float(np.mean(losses[-50:]))

    def step(self, factor: float) -> float:
        """One optimiser step at `factor` of the learning rates; returns the loss."""
        self.muon.param_groups[0]["lr"] = DECODER_RATE * factor
        self.adam.param_groups[0]["lr"] = BIAS_RATE * factor
        chosen = torch.randint(len(self.data.clean), (DECODER_BATCH,))
        wanted = to_tensor(np.stack([self.data.variants[i].pixels for i in chosen.tolist()]))
        latents = self._spoiled(chosen).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            made = self.decoder(latents)
        loss = picture_loss(made, wanted, self._face_weights(chosen))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.muon.step()
        self.adam.step()
        self.decoder.zero_grad()
        return float(loss.detach())

    def _face_weights(self, chosen: Tensor) -> Tensor:
        """The tokens' weights of these variants, as weights of their pixels."""
        tokens = self.data.weights[chosen].reshape(len(chosen), 1, *IMAGE_POSITIONS)
        return F.interpolate(tokens, scale_factor=32, mode="bilinear")

    @torch.no_grad()
    def _spoiled(self, chosen: Tensor) -> Tensor:
        """These variants' latents as a sampler may hand them over: noisy, or as the transformer guesses them."""
        clean = self.data.clean[chosen]
        if float(torch.rand(())) >= GUESSED:
            return unpack(add_noise(clean, NOISE), *LATENT_SIZE)
        level = (torch.rand(len(chosen)) * GUESS_LEVEL).bfloat16().float()
        mixed = torch.lerp(clean, torch.randn_like(clean), level[:, None, None])
        empty = self.trainer.texts.numbers([""]).expand(len(chosen), -1)
        numbers = torch.cat([self.data.numbers[chosen], empty])
        both = self.trainer.velocity(mixed.repeat(2, 1, 1), numbers, level.repeat(2))
        asked, unasked = both.chunk(2)
        guidance = torch.empty(len(chosen), 1, 1).uniform_(1, GUIDED)
        velocity = unasked + guidance * (asked - unasked)
        return unpack(mixed - level[:, None, None] * velocity, *LATENT_SIZE)


def _description(request: "TrainingRequest", shown: list[photos.Photo]) -> dict[str, object]:
    """What the sampler must know of the member's model."""
    looks = [
        {
            "word": look,
            "framings": variants.framings(photo),
            "words": list(photo.words),
            "cut_out": photo.head is not None,
        }
        for look, photo in zip(LOOKS, shown, strict=False)
    ]
    return {
        "recipe": 1, "base": bundle.digest(request.base), "trigger_word": request.trigger_word.lower(),
        "looks": looks, "steps": request.steps, "seed": request.seed,
        "captions": {photo.name: photo.caption for photo in shown},
    }  # fmt: skip


def time_steps(base: Path, decoder_share: float) -> float:
    """Seconds of an average step, the better of one thread and two, on made-up data of the real shapes."""
    parts = bundle.read(base)
    parts.autoencoder.to(memory_format=torch.channels_last)
    trainer = FlowTrainer(parts.transformer, parts.texts, FLOW_RATE, FLOW_AVERAGE)
    blank = variants.Variant(np.zeros((256, 192, 3), np.uint8), PERSON, 0, np.zeros((8, 6), np.float32))
    clean = pack(torch.randn(FLOW_BATCH, 16, *LATENT_SIZE))
    numbers = parts.texts.numbers([PERSON]).expand(FLOW_BATCH, -1).contiguous()
    data = _Data(
        [blank] * FLOW_BATCH,
        clean,
        numbers,
        numbers,
        torch.ones(FLOW_BATCH, clean.shape[1], 1),
        clean,
        numbers,
    )
    decoder, empty = _Decoder(parts.autoencoder, trainer, data), numbers[0]
    seconds = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        flow = _time(lambda: trainer.step(_flow_loss(trainer, data, empty), 0.0))
        drawn = _time(lambda: decoder.step(0.0))
        seconds[threads] = (flow + decoder_share * drawn) / (1 + decoder_share)
    best = min(seconds, key=lambda count: seconds[count])
    logger.info("an average step takes %.2f s with %d threads", seconds[best], best)
    return seconds[best]


def _time(work: Callable[[], object], times: int = 3) -> float:
    work()
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times
