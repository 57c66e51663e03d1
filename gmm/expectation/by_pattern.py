"""The E-step of points with missing values where features are correlated.

Points that miss the same features share all matrices. Groups of such patterns are one batch, of all
data sets and mixtures, so that no loop goes over patterns.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.expectation.observed import BlockSums, Completion, observed_of
from gmm.points import Block
from gmm.structures import LOG_2PI, Columns, inverse_root, log_det


@dataclass(frozen=True, eq=False)
class _Part:
    """Points of Q patterns under all P components; those of a pattern are of one data set.

    Attributes:
        rows: Their places in the flattened block, (Q, n).
        valid: False where a row only pads, (Q, n).
        sets: Data set of every pattern, (Q,), counted from the block's first.
        observed: 1 where a feature is known, else 0, (Q, D).
        covariances: Those of the components, (Q, P, D, D).
        whitening: Upper triangular U with U U^T the inverse of the observed features' covariance,
            and ones on the diagonal where features are missing, (Q, P, D, D).
        offsets: x - mu, zeros where features are missing, (Q, P, n, D).
        joint: log(pi_k N(x_observed | k)), (Q, M, K, n).
    """

    rows: Tensor
    valid: Tensor
    sets: Tensor
    observed: Tensor
    covariances: Tensor
    whitening: Tensor
    offsets: Tensor
    joint: Tensor

    def gain(self) -> Tensor:
        """Return Sigma_mo Sigma_oo^-1 in its place among all features, (Q, P, D, D)."""
        m = self.observed.unsqueeze(1)
        gain = self.covariances @ self.whitening @ self.whitening.mT
        return gain * (1 - m).unsqueeze(-1) * m.unsqueeze(-2)


class ByPattern(Completion):
    """The E-step of tied and full: one Cholesky factor for every pattern and component."""

    def __init__(self, parameters: Parameters, columns: Columns) -> None:
        super().__init__(parameters, columns)
        means = parameters.means
        K, D = means.shape[-2:]
        matrices = self.kind.per_component(parameters.covariances, D)
        self._covariances = columns.pack(matrices.expand(-1, -1, K, -1, -1), -3)  # (G, P, D, D)
        self._means = columns.pack(means, -2)

    def log_joint(self, block: Block) -> Tensor:
        (G, n, _), (_, M, K) = block.x.shape, self.log_weights.shape
        out = block.x.new_zeros(G * n, M, K)
        for part in self._parts(block):
            out[part.rows[part.valid]] = part.joint.movedim(-1, 1)[part.valid]
        joint: Tensor = out.unflatten(0, (G, n))
        return joint

    def sums(self, block: Block) -> BlockSums:
        G, (P, D), M = len(block.x), self._means.shape[1:], self.log_weights.shape[1]
        shift, second = block.x.new_zeros(G, P, D), block.x.new_zeros(G, P, D, D)
        counts, of_evidence = block.x.new_zeros(G, P), block.x.new_zeros(2, G, M)
        for part in self._parts(block):
            weights = part.valid.double()
            if block.weights is not None:
                weights = weights * block.weights.flatten()[part.rows]
            weights = weights.unsqueeze(1)
            resp, evidence = part.joint.softmax(-2), part.joint.logsumexp(-2)
            entropy = torch.special.entr(resp).neg_().sum(-2)
            for total, values in zip(of_evidence, (evidence, entropy), strict=True):
                total.index_add_(0, part.sets, (values * weights).sum(-1))
            packed = self.columns.pack(resp, -2) * weights  # (Q, P, n)
            of_part = _completed(part, packed)
            for total, values in zip((counts, shift, second), of_part, strict=True):
                total.index_add_(0, part.sets, values)
        unpacked = self.columns.unpack(counts, fill=0)
        if self.kind.is_shared:
            shift, second = self._about_center(block, counts, shift, second)
        return BlockSums(unpacked, (shift, second), *of_evidence)

    def expected(self, block: Block) -> Tensor:
        (G, n, D), M = block.x.shape, self.log_weights.shape[1]
        out = block.x.new_zeros(G * n, M, D)
        for part in self._parts(block):
            means = self._means[block.sets][part.sets].unsqueeze(2)
            known = part.observed[:, None, None]
            each = means + part.offsets + part.offsets @ part.gain().mT
            resp = self.columns.pack(part.joint.softmax(-2), -2).unsqueeze(-1)
            mixed = self.columns.unpack(each * resp, 1, fill=0).sum(2)  # (Q, M, n, D)
            x = block.x.flatten(0, 1)[part.rows].unsqueeze(1)
            mixed = torch.where(known > 0, x, mixed).transpose(1, 2)
            out[part.rows[part.valid]] = mixed[part.valid]
        expected: Tensor = out.unflatten(0, (G, n))
        return expected

    def _parts(self, block: Block) -> Iterator[_Part]:
        """Yield all points of a block, some patterns at a time."""
        n, (P, D) = block.x.shape[1], self._means.shape[1:]
        x, observed = block.x.flatten(0, 1), observed_of(block).flatten(0, 1)
        log_weights, means, covariances = (
            t[block.sets] for t in (self.log_weights, self._means, self._covariances)
        )
        for group in block.patterns.groups(6 * P * D * D, 4 * P * D):
            sets, known = group.rows[:, 0] // n, observed[group.rows[:, 0]]
            own, m = covariances[sets], known.unsqueeze(1)
            masked = own * m.unsqueeze(-1) * m.unsqueeze(-2) + torch.diag_embed(1 - m)
            whitening = inverse_root(masked).mT
            offsets = x[group.rows].unsqueeze(1) - means[sets].unsqueeze(2)
            offsets = offsets * m.unsqueeze(-2)
            constant = log_det(whitening) + LOG_2PI * known.sum(-1, keepdim=True)
            lengths = (offsets @ whitening).square().sum(-1)
            packed = -0.5 * (lengths + constant.unsqueeze(-1))  # (Q, P, n)
            joint = self.columns.unpack(packed, -2) + log_weights[sets].unsqueeze(-1)
            of_points = (group.rows, group.valid, sets, known)
            yield _Part(*of_points, own, whitening, offsets, joint)

    def _about_center(
        self, block: Block, counts: Tensor, shift: Tensor, second: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the moments that `Tied` needs: (G, P, D), and of all components (G, M, D, D)."""
        means = self._means[block.sets]
        first = shift + counts.unsqueeze(-1) * means
        cross = shift.unsqueeze(-1) * means.unsqueeze(-2)
        about_center = second + cross.mT + first.unsqueeze(-1) * means.unsqueeze(-2)
        return first, self.columns.unpack(about_center, -3, fill=0).sum(2)


def _completed(part: _Part, resp: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sums over points with responsibilities (Q, P, n), relative to the means.

    They are the counts, (Q, P), and the expected sums of x - mu, (Q, P, D), and of its outer
    products, (Q, P, D, D).
    """
    gain, counts = part.gain(), resp.sum(-1)
    completed = part.offsets + part.offsets @ gain.mT  # E[x - mu | x_observed]
    shift = (resp.unsqueeze(-2) @ completed).squeeze(-2)
    completed.mul_(resp.sqrt().unsqueeze(-1))
    # Of the missing features given the others; a product with both sides, so that its sign holds.
    leaves = torch.diag_embed(1 - part.observed).unsqueeze(1) - gain
    conditional = leaves @ part.covariances @ leaves.mT
    second = completed.mT @ completed + counts[..., None, None] * conditional
    return counts, shift, second
