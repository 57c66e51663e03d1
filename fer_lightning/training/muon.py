"""Momentum with orthogonal steps for matrices, and plain momentum for the rest."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

# Coefficients of the odd polynomial that drives singular values to 1 (Jordan et al., 2024): steep
# at 0, so that few rounds do, at the price of values that end between about 0.7 and 1.2.
QUINTIC = 3.4445, -4.7750, 2.0315
ROUNDS = 5


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return the nearest matrix with orthogonal rows or columns, roughly, by Newton-Schulz rounds.

    Args:
        matrix: (R, C).

    Returns:
        U S V^T for the matrix's U and V, and singular values S near 1, (R, C).
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if is_tall else matrix
    x = x / (x.norm() + 1e-7)  # so that no singular value is above 1
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x


class MuonWithSGD(Optimizer):
    """Muon (Jordan et al., 2024) for kernels and matrices, SGD with momentum for all other weights.

    PyTorch's own Muon takes matrices alone, and multiplies them in bfloat16, for which a CPU takes
    long. A kernel is the matrix from inputs, (channels, rows, columns) flattened, to channels. The
    last matrix, which gives the logits, is left to SGD, as are vectors.

    Args:
        parameters: All parameters, in the order of the layers.
        lr: Learning rate of the matrices.
        momentum: Share of the last velocity that is kept; all take the gradient after its step.
        weight_decay: Share of each matrix, times lr, that a step takes away.
        lr_others: Learning rate of the other parameters.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        momentum: float,
        weight_decay: float,
        lr_others: float,
    ) -> None:
        listed = list(parameters)
        matrices = [p for p in listed if p.ndim >= 2][:-1]
        taken = {id(p) for p in matrices}
        others = [p for p in listed if id(p) not in taken]
        groups = [
            {"params": matrices, "lr": lr, "weight_decay": weight_decay, "orthogonal": True},
            {"params": others, "lr": lr_others, "weight_decay": 0.0, "orthogonal": False},
        ]
        super().__init__([group for group in groups if group["params"]], {"momentum": momentum})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step; of a closure, that computes the gradients, return what it returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._step(parameters, group)
        return loss

    def _step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        lr, momentum = group["lr"], group["momentum"]
        gradients = [p.grad for p in parameters if p.grad is not None]
        for p in parameters:
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        velocities = [self.state[p]["momentum_buffer"] for p in parameters]
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, gradients)
        ahead = torch._foreach_add(gradients, velocities, alpha=momentum)
        if not group["orthogonal"]:
            torch._foreach_add_(parameters, ahead, alpha=-lr)
            return
        torch._foreach_mul_(parameters, 1 - lr * group["weight_decay"])
        for p, update in zip(parameters, ahead, strict=True):
            rows = update.flatten(1)
            grown = max(1.0, rows.shape[0] / rows.shape[1]) ** 0.5
            p.add_(orthogonalised(rows).view_as(p), alpha=-lr * grown)
