"""The posterior means of factors, in coordinates where their posterior covariance is I.

With L L^T = I + Lambda^T Psi^-1 Lambda these are y = P (x - mu), P = L^-1 Lambda^T Psi^-1
(Bishop 2006, eqs. 12.66 to 12.68, with y = L^T E[z]).
"""

from functools import cached_property

import torch
from torch import Tensor

from gmm.points import Block
from gmm.structures.columns import Columns


class Scores:
    """From a block to y = P (x - mu) of all components, and a 1 at the end, (G, n, P, q + 1).

    A block keeps those of the factors that it saw last, as EM asks for them twice in a step.
    """

    def __init__(self, means: Tensor, factors: Tensor, columns: Columns) -> None:
        self._means, self._factors, self._columns = means, factors, columns

    def __call__(self, block: Block) -> Tensor:
        kept = vars(block).get("scores")
        if kept is None or kept[0] is not self._factors:
            kept = vars(block)["scores"] = (self._factors, self._of(block))
        scores: Tensor = kept[1]
        return scores

    def _of(self, block: Block) -> Tensor:
        P, offsets = self._prepared
        own = P[block.sets]
        y = (block.x @ own.flatten(1, 2).to(block.x.dtype).mT).double()
        apart = y.unflatten(-1, own.shape[1:3]).sub_(offsets[block.sets].unsqueeze(1))
        return torch.nn.functional.pad(apart, (0, 1), value=1)

    @cached_property
    def _prepared(self) -> tuple[Tensor, Tensor]:
        """Return P of all components, (G, P, q, D), and P mu, (G, P, q)."""
        P = self._columns.pack(projection(self._factors), -3)
        means = self._columns.pack(self._means, -2).unsqueeze(-1)
        return P, (P @ means).squeeze(-1)


def cholesky_with_identity(matrices: Tensor) -> Tensor:
    """Return L with L L^T = I + A for positive semidefinite A, (..., q, q)."""
    q = matrices.shape[-1]
    L: Tensor = torch.linalg.cholesky_ex(
        matrices + torch.eye(q, dtype=matrices.dtype, device=matrices.device)
    )[0]
    return L


def root(covariances: Tensor) -> Tensor:
    """Return L with L L^T = I + Lambda^T Psi^-1 Lambda, (..., q, q)."""
    loadings = covariances[..., :-1]
    return cholesky_with_identity(loadings.mT @ (loadings / covariances[..., -1:]))


def projection(covariances: Tensor) -> Tensor:
    """Return P = L^-1 Lambda^T Psi^-1, (..., q, D)."""
    scaled = covariances[..., :-1] / covariances[..., -1:]
    P: Tensor = torch.linalg.solve_triangular(root(covariances), scaled.mT, upper=False)
    return P
