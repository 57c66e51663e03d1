"""Log densities of many mixtures on blocks of points: the E-step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.points import Block
from gmm.structures import Columns, structure

# Below it, the error of a claim is less than 1e-5 of a point.
_UNDECIDED = 1e-3
_SHARE_OFF_CPU = 16


@dataclass(frozen=True, eq=False)
class Parameters:
    """Parameters of M mixtures for each of G data sets, relative to the data's centres, in float64.

    Attributes:
        log_weights: (G, M, K), -inf in slots without a component.
        means: (G, M, K, D).
        covariances: (G, M, *shape), see `Covariance.shape`.
        covariance_type: Name of the structure.
    """

    log_weights: Tensor
    means: Tensor
    covariances: Tensor
    covariance_type: str

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.log_weights, self.means, self.covariances

    def at(self, sets: slice, mixtures: slice | Tensor) -> "Parameters":
        """Return the parameters of some mixtures of some data sets."""
        weights, means, covariances = (t[sets][:, mixtures] for t in self.tensors())
        return Parameters(weights, means, covariances, self.covariance_type)


class Density:
    """The E-step of mixtures whose factors have been prepared once for all blocks."""

    def __init__(self, parameters: Parameters, columns: Columns | None = None) -> None:
        self.parameters = parameters
        self.columns = columns or Columns.of(parameters.log_weights)
        kind = structure(parameters.covariance_type)
        self._joint = kind.log_joint(*parameters.tensors(), self.columns)

    def __call__(self, block: Block) -> tuple[Tensor, Tensor]:
        """Return log(pi_k N(x_n | k)), (G, n, M, K), and log p(x_n), (G, n, M), in float64."""
        joint = self._joint(block)
        log_evidence = joint.logsumexp(-1)
        if block.x.dtype != torch.float64:
            self._refine(block, joint, log_evidence)
        return joint, log_evidence

    def _refine(self, block: Block, joint: Tensor, log_evidence: Tensor) -> None:
        """Recompute in float64, in place, the densities of points whose component is uncertain.

        Over thousands of features float32 leaves a few thousandths in a log density. That is
        nothing to a point whose component is certain, and all the error of the next update to
        one between two components.
        """
        log_claim = joint.amax(-1) - log_evidence  # (G, n, M)
        n = block.x.shape[1]
        for g in range(log_claim.shape[0]):
            claims = log_claim[g].mT  # (M, n)
            if block.x.is_cpu:
                n_rows = int((claims < -_UNDECIDED).sum(-1).max())
            else:  # A count would have to wait for the device.
                n_rows = -(-n // _SHARE_OFF_CPU)
            if n_rows > 0:
                rows = claims.topk(n_rows, largest=False, sorted=False).indices
                self._repeat(block, g, rows, joint, log_evidence)

    def _repeat(
        self, block: Block, g: int, rows: Tensor, joint: Tensor, log_evidence: Tensor
    ) -> None:
        """Recompute the rows (M, r) of data set g in float64, with different rows for each mixture.

        The rows of each mixture are treated as a data set of their own.
        """
        M, K = joint.shape[2:]
        at = block.sets.start + g
        weights, means, covariances = (t[at].unsqueeze(1) for t in self.parameters.tensors())
        kind = structure(self.parameters.covariance_type)
        exact = kind.log_joint(weights, means, covariances, Columns(None, 1, K))
        mixtures = torch.arange(M, device=rows.device).unsqueeze(-1)
        for some in rows.split(max(1, block.x.shape[1] // (2 * M)), 1):
            repeated = exact(Block(slice(0, M), 0, block.x[g][some].double(), None)).squeeze(2)
            joint[g, some, mixtures] = repeated
            log_evidence[g, some, mixtures] = repeated.logsumexp(-1)
