"""Log densities of many mixtures on blocks of points: the E-step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.points import Block
from gmm.structures import Columns, structure

# One of so many points, the least certain ones, is recomputed in float64.
_SHARE = 16


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
    """The E-step of mixtures whose factors have been prepared once for all blocks.

    Args:
        parameters: The mixtures.
        columns: Packing of the components.
        factors: Those of the covariances, see `Covariance.factor`; computed by default.
    """

    def __init__(
        self,
        parameters: Parameters,
        columns: Columns | None = None,
        factors: Tensor | None = None,
    ) -> None:
        self.parameters = parameters
        self.columns = columns or Columns.of(parameters.log_weights)
        kind = structure(parameters.covariance_type)
        self.factors = kind.factor(parameters.covariances) if factors is None else factors
        of_joint = (parameters.log_weights, parameters.means, self.factors)
        self._joint = kind.log_joint(*of_joint, self.columns)

    def __call__(self, block: Block) -> tuple[Tensor, Tensor]:
        """Return log(pi_k N(x_n | k)), (G, n, M, K), and log p(x_n), (G, n, M), in float64."""
        joint = self.log_joint(block)
        return joint, joint.logsumexp(-1)

    def responsibilities(self, block: Block) -> tuple[Tensor, Tensor]:
        """Return the responsibilities, (G, n, M, K), and log p(x_n), (G, n, M), in float64."""
        joint = self.log_joint(block)
        # Fewer kernels: the largest responsibility is exp(largest joint - log evidence).
        if joint.stride(-1) == 1:
            resp = joint.softmax(-1)
        else:  # the points lie next to each other in memory
            resp = joint.movedim(1, -1).softmax(-2).movedim(-1, 1)
        return resp, joint.amax(-1) - resp.amax(-1).log_()

    def log_joint(self, block: Block) -> Tensor:
        """Return log(pi_k N(x_n | k)), (G, n, M, K), in float64."""
        joint = self._joint(block)
        if block.x.dtype != torch.float64:
            self._refine(block, joint)
        return joint

    def _refine(self, block: Block, joint: Tensor) -> None:
        """Recompute in float64, in place, the densities of points whose component is uncertain.

        Over thousands of features float32 leaves a few thousandths in a log density. That is
        nothing to a point whose component is certain, and all the error of the next update to
        one between two components.
        """
        claims = (joint.amax(-1) - joint.logsumexp(-1)).transpose(1, 2)  # (G, M, n), logarithms
        n = block.x.shape[1]
        n_rows = -(-n // _SHARE)  # a count of the uncertain ones would have to wait for the device
        M = claims.shape[1]
        rows = claims.topk(n_rows, largest=False, sorted=False).indices
        for some in rows.split(max(1, n // (2 * M)), -1):
            self._repeat(block, some, joint)

    def _repeat(self, block: Block, rows: Tensor, joint: Tensor) -> None:
        """Recompute the rows (G, M, r) in float64, which differ between mixtures.

        The rows of each mixture are treated as a data set of their own.
        """
        (G, n, M, K), device = joint.shape, rows.device
        parameters = (self.parameters.log_weights, self.parameters.means, self.factors)
        own = [t[block.sets].flatten(0, 1).unsqueeze(1) for t in parameters]
        kind = structure(self.parameters.covariance_type)
        exact = kind.log_joint(own[0], own[1], own[2], Columns(None, 1, K))
        sets = torch.arange(G, device=device).view(-1, 1, 1)
        mixtures = torch.arange(M, device=device).view(1, -1, 1)
        x = block.x.flatten(0, 1).index_select(0, (rows + sets * n).flatten())
        points = Block(slice(0, G * M), 0, x.double().view(G * M, -1, x.shape[-1]), None)
        joint[sets, rows, mixtures] = exact(points).view(G, M, -1, K)
