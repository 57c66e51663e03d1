"""Momentum with orthogonal steps for matrices, and plain momentum for the rest."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

# Coefficients of the odd polynomial that drives singular values to 1 (Jordan et al., 2024): steep
# at 0, so that few rounds do, at the price of values that end between about 0.7 and 1.2.
QUINTIC = 3.4445, -4.7750, 2.0315
ROUNDS = 5


def orthogonalised(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Return the nearest matrices with orthogonal rows or columns, roughly (Newton-Schulz).

    A round multiplies a matrix X by a polynomial of its Gram matrix X X^T, from the left. All of
    these commute, so that the rounds are taken on the small Gram matrices alone, those of one size
    together, and X is multiplied once.

    Args:
        matrices: (R, C) each.

    Returns:
        U S V^T for each matrix's U and V, and singular values S near 1, (R, C).
    """
    wide = [x.mT if x.shape[0] > x.shape[1] else x for x in matrices]
    wide = [x / (x.norm() + 1e-7) for x in wide]  # so that no singular value is above 1
    found = list(wide)
    for rows in {x.shape[0] for x in wide}:
        places = [i for i, x in enumerate(wide) if x.shape[0] == rows]
        factors = _factors(torch.stack([wide[i] @ wide[i].mT for i in places]))
        for i, factor in zip(places, factors, strict=True):
            found[i] = factor @ wide[i]
    return [y.mT if y.shape != x.shape else y for x, y in zip(matrices, found, strict=True)]


def _factors(gram: Tensor) -> Tensor:
    """Return by what all rounds together multiply matrices of these Gram matrices, (K, R, R)."""
    a, b, c = QUINTIC
    whole: Tensor | None = None
    for left in reversed(range(ROUNDS)):
        step = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal(dim1=-2, dim2=-1).add_(a)
        whole = step if whole is None else step @ whole
        if left:
            gram = step @ gram @ step
    assert whole is not None
    return whole


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
        for p, step in zip(parameters, orthogonalised([g.flatten(1) for g in ahead]), strict=True):
            grown = max(1.0, step.shape[0] / step.shape[1]) ** 0.5
            p.add_(step.reshape(p.shape), alpha=-lr * grown)
