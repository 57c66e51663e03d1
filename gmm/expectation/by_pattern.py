"""The E-step of points with missing values where features are correlated.

Points that miss the same features share all matrices. Groups of such patterns are one batch, of all
data sets and mixtures, so that no loop goes over patterns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.expectation.observed import BlockSums, Completion, observed_of
from gmm.points import Block
from gmm.structures import LOG_2PI, Columns, inverse_root, log_det


@dataclass(frozen=True, eq=False)
class _Part:
    """Points of Q patterns under all P components; those of a pattern are of one data set.

    With L L^T = Sigma_oo, of the observed features.

    Attributes:
        rows: Their places in the flattened block, (Q, n).
        valid: False where a row only pads, (Q, n).
        sets: Data set of every pattern, (Q,), counted from the block's first.
        observed: 1 where a feature is known, else 0, (Q, 1, D).
        offsets: x - mu, zeros where features are missing, (Q, P, n, D).
        whitened: L^-1 (x - mu), (Q, P, n, D), with zeros in the places of missing features.
        cross: Returns Sigma_mo L^-T in its place among all features, (Q, P, D, D).
        joint: log(pi_k N(x_observed | k)), (Q, M, K, n).
    """

    rows: Tensor
    valid: Tensor
    sets: Tensor
    observed: Tensor
    offsets: Tensor
    whitened: Tensor
    cross: Callable[[], Tensor]
    joint: Tensor

    def completed(self, cross: Tensor) -> Tensor:
        """Return E[x - mu | x_observed], (Q, P, n, D); of what is missing Sigma_mo Sigma_oo^-1."""
        return self.offsets + self.whitened @ cross.mT


class ByPattern(Completion):
    """The E-step of tied and full: one Cholesky factor for every pattern and component."""

    def __init__(self, parameters: Parameters, columns: Columns) -> None:
        super().__init__(parameters, columns)
        means = parameters.means
        K = means.shape[-2]
        self._means = columns.pack(means, -2)
        if self.kind.is_shared:
            self._covariances = parameters.covariances  # (G, M, D, D)
            mixtures = torch.arange(columns.M, device=means.device).unsqueeze(-1).expand(-1, K)
            self._of_component: Tensor | slice = columns.pack(mixtures)
        else:
            self._covariances = columns.pack(parameters.covariances, -3)  # (G, P, D, D)
            self._of_component = slice(None)

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
            counts.index_add_(0, part.sets, packed.sum(-1))
            own = self._covariances[block.sets][:, self._of_component]
            of_shift, of_second = _completed(part, packed, own)
            shift.index_add_(0, part.sets, of_shift)
            second += of_second
        unpacked = self.columns.unpack(counts, fill=0)
        if self.kind.is_shared:
            shift, second = self._about_center(block, counts, shift, second)
        return BlockSums(unpacked, (shift, second), *of_evidence)

    def expected(self, block: Block) -> Tensor:
        (G, n, D), M = block.x.shape, self.log_weights.shape[1]
        out = block.x.new_zeros(G * n, M, D)
        for part in self._parts(block):
            means = self._means[block.sets][part.sets].unsqueeze(2)
            known = part.observed.unsqueeze(1)
            each = means + part.completed(part.cross())
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
        for group in block.patterns.groups(6 * P * D * D, 6 * P * D):
            sets = group.rows[:, 0] // n
            m = observed[group.rows[:, 0]].unsqueeze(1)  # (Q, 1, D)
            own = covariances[sets] * m.unsqueeze(-2)  # no columns of missing features
            # Ones in their place on the diagonal: they have no part in densities.
            whitening = inverse_root(own * m.unsqueeze(-1) + torch.diag_embed(1 - m)).mT
            cross = partial(self._cross, own * (1 - m).unsqueeze(-1), whitening)
            whitening = whitening[:, self._of_component]
            offsets = x[group.rows].unsqueeze(1) - means[sets].unsqueeze(2)
            offsets = offsets * m.unsqueeze(-2)
            whitened = offsets @ whitening
            constant = log_det(whitening) + LOG_2PI * m.sum(-1)
            packed = -0.5 * (whitened.square().sum(-1) + constant.unsqueeze(-1))  # (Q, P, n)
            joint = self.columns.unpack(packed, -2) + log_weights[sets].unsqueeze(-1)
            of_points = (group.rows, group.valid, sets, m)
            yield _Part(*of_points, offsets, whitened, cross, joint)

    def _cross(self, missing_observed: Tensor, whitening: Tensor) -> Tensor:
        """Return Sigma_mo L^-T of all components, (Q, P, D, D)."""
        return (missing_observed @ whitening)[:, self._of_component]

    def _about_center(
        self, block: Block, counts: Tensor, shift: Tensor, second: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the moments that `Tied` needs: (G, P, D), and of all components (G, M, D, D)."""
        means = self._means[block.sets]
        first = shift + counts.unsqueeze(-1) * means
        cross = shift.unsqueeze(-1) * means.unsqueeze(-2)
        about_center = second + cross.mT + first.unsqueeze(-1) * means.unsqueeze(-2)
        return first, self.columns.unpack(about_center, -3, fill=0).sum(2)


def _completed(part: _Part, resp: Tensor, covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums over points with responsibilities (Q, P, n), relative to the means.

    Args:
        part: The points.
        resp: Their responsibilities, zeros where rows only pad.
        covariances: Of the components, (G, P, D, D).

    Returns:
        The expected sums of x - mu of every pattern, (Q, P, D), and of its outer products of every
        data set, (G, P, D, D).
    """
    G, cross = len(covariances), part.cross()
    completed = part.completed(cross)
    shift = (resp.unsqueeze(-2) @ completed).squeeze(-2)
    second = _outer_products(completed.mul_(resp.sqrt().unsqueeze(-1)), part.sets, G)
    # Of the missing features given the others: Sigma_mm - Sigma_mo Sigma_oo^-1 Sigma_om.
    root = resp.sum(-1).sqrt()[..., None, None]
    n_missing = _outer_products((1 - part.observed).unsqueeze(-2) * root, part.sets, G)
    second += covariances * n_missing
    second -= _outer_products(cross.mT * root, part.sets, G)
    return shift, second


def _outer_products(rows: Tensor, sets: Tensor, G: int) -> Tensor:
    """Return the sums of the rows' (Q, P, r, D) outer products of every data set, (G, P, D, D)."""
    if G == 1:  # all in one product
        flat = rows.transpose(0, 1).flatten(1, 2)
        return (flat.mT @ flat).unsqueeze(0)
    products = rows.mT @ rows
    return products.new_zeros(G, *products.shape[1:]).index_add_(0, sets, products)
