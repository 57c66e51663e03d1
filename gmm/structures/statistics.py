"""Densities and sums as two matrix products, of sufficient statistics, for GPUs.

The log-density of an exponential family is linear in sufficient statistics T(x) of a point: log(pi
N(x)) = T(x) . eta with natural parameters eta (Bishop 2006, eq. 2.194), and the sums that an M-step
needs are responsibilities times T(x). With T(x) kept, an iteration is two products and the softmax
between them, in place of a kernel for each term.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from gmm.points import Block
from gmm.structures.columns import Columns
from gmm.structures.covariance import Joint, Linear, Moments
from gmm.structures.products import weighted_sums

FEW_FEATURES = 64


class ExponentialFamily(Linear):
    """A structure whose sufficient statistics are few enough to be kept."""

    def keeps_statistics(self, block: Block) -> bool:
        """Return whether the statistics of a block are kept: in float64, off the CPU.

        With many features a product takes so long that what it saves no longer counts.
        """
        few = block.x.shape[-1] <= FEW_FEATURES
        return few and not block.x.is_cpu and block.x.dtype == torch.float64

    @abstractmethod
    def statistics(self, x: Tensor) -> Tensor:
        """Return T(x) of points (G, n, D), (G, n, F); ones are among them."""

    @abstractmethod
    def direct_log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        """Return what `log_joint` does, for blocks whose statistics are not kept."""

    def log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        direct: Joint | None = None
        eta: Tensor | None = None

        def joint(block: Block) -> Tensor:
            nonlocal direct, eta
            if not self.keeps_statistics(block):
                direct = direct or self.direct_log_joint(log_weights, means, factors, columns)
                return direct(block)
            if eta is None:
                eta = columns.pack(self.natural(log_weights, means, factors), -2)
            packed = eta[block.sets] @ block.kept(self.name, self.statistics).mT  # (G, P, n)
            return columns.unpack(packed, -2).movedim(-1, 1)

        return joint

    def sums(
        self,
        block: Block,
        resp: Tensor,
        means: Tensor,
        columns: Columns,
        factors: Tensor | None = None,
    ) -> tuple[Tensor, Moments]:
        if not self.keeps_statistics(block):
            return super().sums(block, resp, means, columns)
        statistics = block.kept(self.name, self.statistics)
        summed = weighted_sums(columns.pack(resp), statistics)
        counts, moments = self.apart(summed, columns.pack(means, -2)[block.sets], None)
        return columns.unpack(counts, fill=0), moments


def padded(*parts: Tensor) -> Tensor:
    """Return parts (..., F_i) side by side, with zeros up to an even number, for aligned reads."""
    if sum(part.shape[-1] for part in parts) % 2:
        parts = (*parts, torch.zeros_like(parts[0][..., :1]))
    return torch.cat(parts, -1)
