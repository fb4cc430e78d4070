"""The autoencoder of the tiny FLUX: 16 pixels a latent, 16 channels, fast on a CPU's bf16 units.

A diffusers model, so that `FluxPipeline.from_pretrained` loads it; import this module before that call. Widths
48/96/160, channels-last, matrix products for 1 × 1 convolutions and no normalisation are what is fast on two busy
cores (docs/engine-tiny.md). How it is trained is in `base_autoencoder` and `member`.
"""

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

LATENT_CHANNELS = 16
WIDTHS = (48, 96, 160)


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """Space to depth that keeps channels last (torch's own does not)."""
    batch, channels, height, width = x.shape
    blocks = x.permute(0, 2, 3, 1).reshape(batch, height // factor, factor, width // factor, factor, channels)
    flat = blocks.permute(0, 1, 3, 2, 4, 5).reshape(batch, height // factor, width // factor, -1)
    return flat.permute(0, 3, 1, 2)


def shuffle(x: Tensor, factor: int) -> Tensor:
    """Depth to space, the reverse of `unshuffle`."""
    batch, channels, height, width = x.shape
    depth = channels // (factor * factor)
    blocks = x.permute(0, 2, 3, 1).reshape(batch, height, width, factor, factor, depth)
    flat = blocks.permute(0, 1, 3, 2, 4, 5).reshape(batch, height * factor, width * factor, depth)
    return flat.permute(0, 3, 1, 2)


class Pointwise(nn.Module):
    """A 1 × 1 convolution as a matrix product."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(x.permute(0, 2, 3, 1))
        return result.permute(0, 3, 1, 2)


class Residual(nn.Module):
    """Two 3 × 3 convolutions beside a short cut; starts as nothing but the short cut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        if self.second.bias is not None:
            nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.second(F.silu(self.first(F.silu(x))))
        return x + change


def _level(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(depth)))


class Encoder(nn.Module):
    """Pictures (−1 to 1, batch × 3 × height × width) to latents a sixteenth of the size."""

    def __init__(self, channels: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.entry = nn.Conv2d(48, fine, 3, padding=1)
        self.fine = _level(fine, 1)
        self.to_middle = Pointwise(4 * fine, middle)
        self.middle = _level(middle, 2)
        self.to_coarse = Pointwise(4 * middle, coarse)
        self.coarse = _level(coarse, 2)
        self.exit = Pointwise(coarse, channels)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.fine(self.entry(unshuffle(pictures, 4)))
        x = self.middle(self.to_middle(unshuffle(x, 2)))
        x = self.coarse(self.to_coarse(unshuffle(x, 2)))
        latents: Tensor = self.exit(F.silu(x))
        return latents


class Decoder(nn.Module):
    """Latents back to pictures; the part that carries a member's likeness."""

    def __init__(self, channels: int, widths: tuple[int, int, int], depth: int) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.entry = Pointwise(channels, coarse)
        self.coarse = _level(coarse, depth)
        self.to_middle = Pointwise(coarse, 4 * middle)
        self.middle = _level(middle, depth)
        self.to_fine = Pointwise(middle, 4 * fine)
        self.fine = _level(fine, depth)
        self.exit = nn.Conv2d(fine, 48, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.coarse(self.entry(latents))
        x = self.middle(shuffle(self.to_middle(x), 2))
        x = self.fine(shuffle(self.to_fine(x), 2))
        return shuffle(self.exit(F.silu(x)), 4)


class PortraitAutoencoder(ModelMixin, ConfigMixin):
    """Encoder and decoder with the interface of diffusers' own autoencoders.

    `block_out_channels` has five entries because FluxPipeline takes the factor of 16 from its length; latents have
    unit variance already, so scaling is 1 and shift 0.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = LATENT_CHANNELS,
        block_out_channels: tuple[int, ...] = (48, 48, 96, 160, 160),
        decoder_depth: int = 3,
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
    ) -> None:
        super().__init__()
        widths = (block_out_channels[1], block_out_channels[2], block_out_channels[3])
        self.encoder = Encoder(latent_channels, widths)
        self.decoder = Decoder(latent_channels, widths, decoder_depth)

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents of unit variance over portraits; deterministic, there is no distribution to draw from."""
        latents: Tensor = self.encoder(pictures.contiguous(memory_format=torch.channels_last))
        return latents

    def decode(self, latents: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Pictures from −1 to 1, as FluxPipeline asks for them."""
        pictures: Tensor = self.decoder(latents.contiguous(memory_format=torch.channels_last))
        return DecoderOutput(sample=pictures) if return_dict else (pictures,)

    def forward(self, pictures: Tensor) -> Tensor:
        reconstructed: Tensor = self.decoder(self.encode(pictures))
        return reconstructed
