"""Between pictures as bytes and tensors, and the loss of a reconstruction. Shared by base and member training."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]


def to_tensor(pictures: Pixels) -> Tensor:
    """Bytes (batch × height × width × 3) as −1 to 1, batch × 3 × height × width, channels last."""
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return tensor.contiguous(memory_format=torch.channels_last)


def to_pixels(pictures: Tensor) -> Pixels:
    """The reverse of `to_tensor`."""
    scaled = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1)
    result: Pixels = scaled.to(torch.uint8).numpy()
    return result


def picture_loss(made: Tensor, wanted: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean absolute error of the colours and of the differences between neighbours, which keeps edges sharp.

    `weights` (batch or 1 × 1 × height × width) says where an error counts more.
    """
    error = made - wanted
    colours = error.abs()
    across = (error[..., 1:] - error[..., :-1]).abs()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs()
    if weights is not None:
        colours, across, down = colours * weights, across * weights[..., 1:], down * weights[..., 1:, :]
    return colours.mean() + across.mean() + down.mean()


def add_noise(latents: Tensor, most: float) -> Tensor:
    """Latents spoiled by noise of a random strength up to `most` of their spread, one strength for each picture."""
    strength = torch.rand(len(latents), *([1] * (latents.ndim - 1))) * most
    return latents + torch.randn_like(latents) * strength
