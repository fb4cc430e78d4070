"""The transformer's attention as a CPU likes it while it trains. The same function as diffusers' own, other kernels.

For 68 short tokens the flash kernel's backward and the many small passes of norm and rotation cost more than all
matrix products. Drawing goes through diffusers' own processor; a test compares the two.
"""

from typing import Any

import torch
from diffusers.models.transformers.transformer_flux import FluxAttention
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, tokens × head width, each value twice, as FluxPosEmbed gives them."""


class TrainingAttention:
    """An attention processor for `FluxTransformer2DModel.set_attn_processor`."""

    def __call__(
        self,
        attn: FluxAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Rotation | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Self-attention of the picture's tokens, or of text and picture together in a double block."""
        assert attention_mask is None and image_rotary_emb is not None, (
            "FLUX masks nothing and rotates always"
        )
        cosines, sines = image_rotary_emb
        rotation = torch.complex(cosines[:, ::2], sines[:, ::2])
        words = 0 if encoder_hidden_states is None else encoder_hidden_states.shape[1]
        projected = _project(hidden_states, attn.head_dim, attn.to_q, attn.to_k, attn.to_v)
        turned = _NormAndTurn.apply(
            projected[:, :, :2], _norms(attn.norm_q, attn.norm_k), rotation[words:], attn.norm_q.eps
        )
        values = projected[:, :, 2]
        if encoder_hidden_states is not None:
            text = _project(
                encoder_hidden_states, attn.head_dim, attn.add_q_proj, attn.add_k_proj, attn.add_v_proj
            )
            norms = _norms(attn.norm_added_q, attn.norm_added_k)
            spoken = _NormAndTurn.apply(text[:, :, :2], norms, rotation[:words], attn.norm_added_q.eps)
            turned = torch.cat([spoken, turned], dim=1)
            values = torch.cat([text[:, :, 2], values], dim=1)
        mixed = _attend(turned[:, :, 0], turned[:, :, 1], values)
        if encoder_hidden_states is None:
            return mixed
        return attn.to_out[0](mixed[:, words:]), attn.to_add_out(mixed[:, :words])


def _project(states: Tensor, head: int, *linears: torch.nn.Linear) -> Tensor:
    """Queries, keys and values by one product: batch × tokens × 3 × heads × head width."""
    weight = torch.cat([linear.weight for linear in linears])
    bias = torch.cat([linear.bias for linear in linears])
    return F.linear(states, weight, bias).unflatten(-1, (len(linears), -1, head))


def _norms(query: torch.nn.RMSNorm, key: torch.nn.RMSNorm) -> Tensor:
    return torch.stack([query.weight, key.weight])[:, None]


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention by plain products; batch × tokens × heads × width in, batch × tokens × model width out."""
    scores = (query * query.shape[-1] ** -0.5).transpose(1, 2) @ key.permute(0, 2, 3, 1)
    return (scores.softmax(-1) @ value.transpose(1, 2)).transpose(1, 2).flatten(2)


class _NormAndTurn(torch.autograd.Function):
    """RMS norm of each head's vector, its gain, and the rotation by position, in fp32, with few passes."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, gain: Tensor, rotation: Tensor, eps: float) -> Tensor:
        """`raw` is batch × tokens × 2 × heads × width, `gain` 2 × 1 × width, `rotation` tokens × width / 2."""
        vectors = raw.to(torch.float32, copy=True)
        shrink = vectors.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(raw, shrink, gain, rotation)
        return _turned(vectors.mul_(shrink).mul_(gain), rotation).to(raw.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Of a norm n = v·s: ds = s·(dn − n·mean(dn·n)); a rotation turns back."""
        raw, shrink, gain, rotation = ctx.saved_tensors
        back = _turned(outer[0].float(), rotation.conj())
        normal = raw.float() * shrink
        product = back * normal
        of_gain = product.sum((0, 1, 3)).unsqueeze(1).to(gain.dtype)
        along = product.mul_(gain).mean(-1, keepdim=True)
        inner = back.mul_(gain).sub_(normal.mul_(along)).mul_(shrink)
        return inner.to(raw.dtype), of_gain, None, None


def _turned(vectors: Tensor, rotation: Tensor) -> Tensor:
    """Neighbouring values as complex numbers, multiplied by their token's rotation."""
    pairs = torch.view_as_complex(vectors.contiguous().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotation[:, None, None]).flatten(-2)
