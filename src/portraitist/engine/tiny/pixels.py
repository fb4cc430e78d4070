"""Between pictures as bytes and tensors, and the loss of a reconstruction. Shared by base and member training."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

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
    every = torch.ones(1, 1, 1, 1) if weights is None else weights
    loss: Tensor = _PictureLoss.apply(made, wanted, every.expand(-1, -1, *made.shape[2:]))
    return loss


class _PictureLoss(torch.autograd.Function):
    """Value and gradient in one go: autograd's own passes over full-size pictures took half of a decoder's step."""

    @staticmethod
    def forward(ctx: Any, made: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
        error = made.float() - wanted
        pull = error.sign().mul_(weights)
        loss = (error * pull).sum()
        for axis in (-1, -2):
            length = error.shape[axis]
            step = error.diff(dim=axis)
            # A mean over one value fewer along this axis, in terms of the mean over all.
            push = step.sign().mul_(weights.narrow(axis, 1, length - 1)).mul_(length / (length - 1))
            loss += step.mul_(push).sum()
            pull.narrow(axis, 1, length - 1).add_(push)
            pull.narrow(axis, 0, length - 1).sub_(push)
        ctx.save_for_backward(pull)
        return loss / error.numel()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        """The signs that `forward` has summed up; autograd casts to the dtype of what was made."""
        (pull,) = ctx.saved_tensors
        return pull * (outer[0] / pull.numel()), None, None


def add_noise(latents: Tensor, most: float) -> Tensor:
    """Latents spoiled by noise of a random strength up to `most` of their spread, one strength for each picture."""
    strength = torch.rand(len(latents), *([1] * (latents.ndim - 1))) * most
    return latents + torch.randn_like(latents) * strength
