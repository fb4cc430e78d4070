"""Muon: momentum whose matrix is made orthogonal before it is applied. For the inner matrices of both networks.

After Keller Jordan's description; batched over equal shapes because small products are slow one by one.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, Newton–Schulz in bf16; the step is scaled by √max(1, rows / columns).

    A convolution's filters count as one matrix with a row for each output channel.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(list(matrices), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        for group in self.param_groups:
            for same in _by_shape(group["params"]):
                self._step_together(same, group)

    def _step_together(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> None:
        gradient = torch.stack([_gradient(matrix).reshape(len(matrix), -1) for matrix in matrices])
        state = self.state[matrices[0]]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradient)
        kept: Tensor = state["momentum"]
        kept.mul_(group["momentum"]).add_(gradient)
        change = orthogonal(gradient.add(kept, alpha=group["momentum"]))
        rows, columns = gradient.shape[1:]
        scale = -group["lr"] * max(1.0, rows / columns) ** 0.5
        for matrix, part in zip(matrices, change, strict=True):
            matrix.add_(part.float().reshape(matrix.shape), alpha=scale)


def _by_shape(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    groups: dict[torch.Size, list[nn.Parameter]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            groups.setdefault(parameter.shape, []).append(parameter)
    return list(groups.values())


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def orthogonal(batch: Tensor) -> Tensor:
    """Each matrix of the batch with its singular values brought near one, by a polynomial iteration in bf16."""
    first, second, third = NEWTON_SCHULZ
    wide = batch.bfloat16()
    tall = wide.shape[1] > wide.shape[2]
    if tall:
        wide = wide.mT
    wide = wide / (wide.flatten(1).float().norm(dim=1)[:, None, None] + 1e-7).bfloat16()
    for _ in range(ROUNDS):
        gram = wide @ wide.mT
        wide = torch.baddbmm(
            wide, torch.baddbmm(gram, gram, gram, beta=second, alpha=third), wide, beta=first
        )
    return wide.mT if tall else wide
