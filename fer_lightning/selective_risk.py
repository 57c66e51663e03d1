"""What is gained by answering only for the faces that a network is sure of."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The risk-coverage curve (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017).

    Attributes:
        coverage: Shares of the points that are answered, 1/N, 2/N, ..., 1, (N,).
        risk: Share of wrong answers among the points answered, the surest, (N,).
    """

    coverage: Tensor
    risk: Tensor

    @property
    def area(self) -> float:
        """Area under it, AURC: the mean risk over all coverages (Geifman et al. 2019)."""
        return float(self.risk.mean())


def risk_coverage(confidence: Tensor, right: Tensor) -> RiskCoverage:
    """Risk at every coverage, from the surest point alone to all points.

    Points of equal confidence have no order. Inside such a group the risk is its mean over all
    orders of the group, so that the curve depends on nothing but confidences and answers.

    Args:
        confidence: How sure the answers are, (N,), N at least 1.
        right: Whether they are right, (N,), bool.
    """
    order = confidence.argsort(descending=True)
    _, group, sizes = confidence[order].unique_consecutive(return_inverse=True, return_counts=True)
    wrong = (~right[order]).double()
    wrong_of_group = torch.zeros(len(sizes), dtype=torch.double).index_add(0, group, wrong)
    expected = (wrong_of_group / sizes)[group]  # the mean over all orders of each group
    n = torch.arange(1, len(wrong) + 1, dtype=torch.double)
    return RiskCoverage(coverage=n / len(wrong), risk=expected.cumsum(0) / n)
