"""The components of mixtures in one form for all structures, in float64."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gmm.structures import structure


@dataclass(frozen=True, eq=False)
class Components:
    """Weights, means and covariances of mixtures of batch shape *B.

    Attributes:
        log_weights: (*B, K), normalised; -inf in slots without a component.
        means: (*B, K, D), 0 in these slots.
        covariances: Variances (*B, K, D) or matrices (*B, K, D, D), 1 or the identity in these
            slots; (*B, 1, D, D) where all components have the same.
        on_diagonal: Whether they are variances.
    """

    log_weights: Tensor
    means: Tensor
    covariances: Tensor
    on_diagonal: bool

    @cached_property
    def roots(self) -> Tensor:
        """Return standard deviations or lower Cholesky factors, shaped as the covariances.

        Raises:
            ValueError: If a covariance is not positive definite.
        """
        return roots(self.covariances, self.on_diagonal)

    @property
    def log_dets(self) -> Tensor:
        """Return log|Sigma_k|, (*B, K), or (*B, 1) where all components have the same."""
        scales = self.roots if self.on_diagonal else self.roots.diagonal(dim1=-2, dim2=-1)
        return 2 * scales.log().sum(-1)

    def as_matrices(self) -> "Components":
        """Return the same components with matrices for covariances."""
        if not self.on_diagonal:
            return self
        matrices = torch.diag_embed(self.covariances)
        return Components(self.log_weights, self.means, matrices, on_diagonal=False)


def components(
    log_weights: Tensor, means: Tensor, covariances: Tensor, covariance_type: str
) -> Components:
    """Return the components of mixtures whose parameters are shaped as those of `gmm.Mixture`."""
    kind, D = structure(covariance_type), means.shape[-1]
    unused = (log_weights == -torch.inf).unsqueeze(-1)
    each = kind.per_component(covariances.double(), D)
    if kind.on_diagonal:
        each = each.masked_fill(unused, 1)
    elif not kind.is_shared:
        eye = torch.eye(D, dtype=each.dtype, device=each.device)
        each = torch.where(unused.unsqueeze(-1), eye, each)
    placed = means.double().masked_fill(unused, 0)
    return Components(normalised(log_weights.double(), -1), placed, each, kind.on_diagonal)


def roots(covariances: Tensor, on_diagonal: bool) -> Tensor:
    """Return the standard deviations of variances, or the lower Cholesky factors of matrices.

    Raises:
        ValueError: If a covariance is not positive definite.
    """
    if on_diagonal:
        broken, found = ~(covariances > 0).all(-1), covariances.sqrt()
    else:
        found, failed = torch.linalg.cholesky_ex(covariances)
        broken = (failed > 0) | ~found.isfinite().all(-1).all(-1)
    if broken.any():
        *mixture, k = broken.nonzero()[0].tolist()
        where = f" in mixture {tuple(mixture)}" if mixture else ""
        raise ValueError(
            f"covariance of component {k}{where} is not positive definite; fit with a larger "
            "reg_covar or min_variance"
        )
    return found


def normalised(logs: Tensor, dim: int) -> Tensor:
    """Return logarithms of numbers in proportion to the given ones, which add up to 1 along dim."""
    # On the CPU log_softmax wakes all threads, even for three numbers.
    return logs - logs.logsumexp(dim, keepdim=True)
