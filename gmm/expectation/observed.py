"""The E-step of points with missing values, exact: densities are those of what is observed.

Values are taken to be missing at random (Little & Rubin 2019, section 1.3), so that the likelihood
is that of the observed features alone. The M-step's sums get what is missing as its expectation
given what is observed, and its squares with the conditional covariance on top (Ghahramani & Jordan
1994; Little & Rubin 2019, section 11.2).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.points import Block
from gmm.structures import LOG_2PI, STRUCTURES, Columns, Linear, Moments, linear, weighted_sums


@dataclass(frozen=True, eq=False)
class BlockSums:
    """Sums over the points of a block, completed by expectations.

    Attributes:
        counts: Sum of the responsibilities, (G, M, K).
        moments: What `Covariance.update` needs.
        log_evidence: Sum of log p(x), of the observed features, (G, M).
        entropy: Sum of r log r, (G, M).
    """

    counts: Tensor
    moments: Moments
    log_evidence: Tensor
    entropy: Tensor


class Completion(ABC):
    """The E-step of M mixtures for each of G data sets whose values are missing in part.

    A point without any observed feature has log-evidence 0 and the mixing weights for
    responsibilities.

    Args:
        parameters: The mixtures.
        columns: Packing of the components.
    """

    def __init__(self, parameters: Parameters, columns: Columns) -> None:
        self.kind = linear(parameters.covariance_type)
        self.log_weights, self.columns = parameters.log_weights, columns

    @abstractmethod
    def log_joint(self, block: Block) -> Tensor:
        """Return log(pi_k N(x_observed | k)), (G, n, M, K)."""

    @abstractmethod
    def sums(self, block: Block) -> BlockSums:
        """Return the sums of a block."""

    @abstractmethod
    def expected(self, block: Block) -> Tensor:
        """Return E[x | x_observed], (G, n, M, D), relative to the centres."""


class OnDiagonal(Completion):
    """The E-step of diag and spherical, in products with the mask of what is observed.

    A log-density is linear in x m, x^2 m and m, with m = 1 where a value is known and 0 elsewhere.
    """

    def __init__(self, parameters: Parameters, columns: Columns) -> None:
        super().__init__(parameters, columns)
        means, D = parameters.means, parameters.means.shape[-1]
        variances = self.kind.per_component(parameters.covariances, D)
        linear = means / variances
        constant = -0.5 * (LOG_2PI + variances.log() + means * linear)
        terms = (linear, -0.5 / variances, constant)
        self._natural = [columns.pack(term, -2) for term in terms]  # (G, P, D)
        self._means = means
        packed = columns.pack(means, -2)
        self._expected = (packed, packed.square() + columns.pack(variances, -2))

    def log_joint(self, block: Block) -> Tensor:
        linear, quadratic, constant = (term[block.sets].mT for term in self._natural)
        packed = block.x @ linear
        packed.baddbmm_(block.squares, quadratic).baddbmm_(observed_of(block), constant)
        return self.columns.unpack(packed).add_(self.log_weights[block.sets].unsqueeze(1))

    def sums(self, block: Block) -> BlockSums:
        joint = self.log_joint(block)
        evidence, resp = joint.logsumexp(-1), joint.softmax(-1)
        entropy = torch.special.entr(resp).neg_().sum(-1)
        weighed = block.weigh(resp)
        weights = self.columns.pack(weighed)
        counts = weights.sum(1)
        n_missing = counts.unsqueeze(-1) - weighted_sums(weights, observed_of(block))
        moments = [
            torch.addcmul(weighted_sums(weights, known), n_missing.clamp_min(0), own[block.sets])
            for known, own in zip((block.x, block.squares), self._expected, strict=True)
        ]
        if self.kind.features_per_variance(block.x.shape[-1]) > 1:
            moments[1] = moments[1].sum(-1, keepdim=True)
        of_evidence = (block.weigh(values).sum(1) for values in (evidence, entropy))
        return BlockSums(self.columns.unpack(counts, fill=0), tuple(moments), *of_evidence)

    def expected(self, block: Block) -> Tensor:
        resp = self.log_joint(block).softmax(-1)
        missing = torch.einsum("gnmk,gmkd->gnmd", resp, self._means[block.sets])
        known = observed_of(block).unsqueeze(2)
        return torch.where(known > 0, block.x.unsqueeze(2), missing)


def observed_of(block: Block) -> Tensor:
    """Return which values of a block are known, as 1 and 0, (G, n, D)."""
    assert block.observed is not None
    return block.observed


def check_missing(covariance_type: str) -> None:
    """Raise ValueError unless mixtures of a structure can be fitted where values are missing."""
    known = sorted(name for name, kind in STRUCTURES.items() if isinstance(kind, Linear))
    if covariance_type not in known:
        raise ValueError(
            f"covariance_type must be one of {known} where values may be missing, got "
            f"{covariance_type!r}"
        )
