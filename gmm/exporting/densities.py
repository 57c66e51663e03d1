"""Log densities of all components as modules that a graph can be made of.

Shapes: C mixtures of K components, P = C * K. All but the centre and the limit are computed in
float64, relative to the centre, and kept as float32.
"""

from torch import Tensor, nn


class Density(nn.Module):
    """From points to log(pi_k N(x_n | mu_k, Sigma_k)) of all mixtures.

    Args:
        center: What the parameters are relative to, (D,).
        limit: Coordinates that are farther from there count as being so far, so that the square of
            none is beyond the range of float32.
    """

    center: Tensor

    def __init__(self, center: Tensor, limit: float, **parameters: Tensor) -> None:
        super().__init__()
        self.limit = limit
        self.register_buffer("center", center.float())
        for name, value in parameters.items():
            self.register_buffer(name, value.float().contiguous())

    def forward(self, points: Tensor) -> Tensor:
        """Return log joint densities, (N, C, K), of points (N, D)."""
        return self.log_joint((points - self.center).clamp(-self.limit, self.limit))

    def log_joint(self, x: Tensor) -> Tensor:
        """Return the same of points relative to the centre."""
        raise NotImplementedError


class Diagonal(Density):
    """Without correlations, by the difference of each point from each mean.

    Args:
        means: (C, K, D).
        roots: Inverse standard deviations, (C, K, D).
        constant: (C, K).
    """

    means: Tensor
    roots: Tensor
    constant: Tensor

    def log_joint(self, x: Tensor) -> Tensor:
        scaled = (x[:, None, None] - self.means) * self.roots
        return self.constant - 0.5 * scaled.square().sum(-1)


class DiagonalProducts(Density):
    """Without correlations, by two products of matrices.

    Args:
        linear: Means by precisions, (D, P).
        quadratic: Half the precisions, (D, P).
        constant: (C, K), with the quadratic terms of the means.
    """

    linear: Tensor
    quadratic: Tensor
    constant: Tensor

    def log_joint(self, x: Tensor) -> Tensor:
        joint = x @ self.linear - x.square() @ self.quadratic
        apart: Tensor = joint.unflatten(-1, self.constant.shape)
        return apart + self.constant


class Tied(Density):
    """One matrix for all components of a mixture.

    Args:
        factors: U with U U^T = Sigma^-1, (C, D, D).
        means: In the coordinates that these give, (C, K, D).
        constant: (C, K).
    """

    factors: Tensor
    means: Tensor
    constant: Tensor

    def log_joint(self, x: Tensor) -> Tensor:
        white = (x @ self.factors).movedim(0, 1)  # (N, C, D)
        return self.constant - 0.5 * (white.unsqueeze(2) - self.means).square().sum(-1)


class TiedProducts(Tied):
    """The same by a product of matrices; the constants have the quadratic terms of the means."""

    def log_joint(self, x: Tensor) -> Tensor:
        white = x @ self.factors  # (C, N, D)
        cross = white @ self.means.mT - 0.5 * white.square().sum(-1, keepdim=True)
        return cross.movedim(0, 1) + self.constant


class Full(Density):
    """A matrix per component.

    Args:
        means: (P, D).
        factors: U with U U^T = Sigma^-1, (P, D, D).
        constant: (C, K).
    """

    means: Tensor
    factors: Tensor
    constant: Tensor

    def log_joint(self, x: Tensor) -> Tensor:
        white = (x - self.means.unsqueeze(1)) @ self.factors  # (P, N, D)
        lengths: Tensor = white.square().sum(-1).mT.unflatten(-1, self.constant.shape)
        return self.constant - 0.5 * lengths
