"""The sizes at which EM is measured, their points, and where EM begins."""

from dataclasses import dataclass

import torch
from torch import Tensor

import gmm
from benchmarks.em import synthetic_faces
from gmm.structures import structure

REG_COVAR = 1e-3
TYPES = ("diag", "spherical", "tied", "full")


@dataclass(frozen=True)
class Size:
    """N points of D features, K components, R restarts at once, in 32 or 64 bits."""

    N: int
    D: int
    K: int
    R: int
    covariances: str
    dtype: str

    @property
    def torch_dtype(self) -> torch.dtype:
        made: torch.dtype = getattr(torch, self.dtype)
        return made

    def flops(self) -> float:
        """Return the operations of an iteration: its products, and the factors of matrices."""
        N, D, K, R = self.N, self.D, self.K, self.R
        factors = 2 / 3 * D**3  # a Cholesky factor and its inverse, a third each
        return {
            "diag": 8.0 * N * D * K * R,
            "spherical": 4.0 * N * D * K * R,
            "tied": R * (2.0 * N * D * D + 4.0 * N * D * K + factors),
            "full": R * K * (4.0 * N * D * D + factors),
        }[self.covariances]

    def bytes(self) -> int:
        """Return what must be read: the points, once, as they are given."""
        return self.N * self.D * self.torch_dtype.itemsize


def sizes() -> list[Size]:
    """Return all sizes, the most telling first."""
    wide, many, most = (3374, 2304), (100_000, 30, 30, 1), (1_000_000, 10, 10, 1)
    ways = [(c, "float32") for c in TYPES] + [(c, "float64") for c in TYPES]
    made = [Size(*wide, 7, 1, "diag", "float32"), Size(*wide, 7, 100, "diag", "float32")]
    for c, dtype in ways:
        made += [Size(*many, c, dtype), Size(*most, c, dtype)]
    made += [Size(*wide, 7, 1, c, "float64") for c in ("full", "tied")]
    for K, R in ((7, 1), (7, 100), (35, 100), (35, 1)):
        made += [Size(*wide, K, R, c, d) for c, d in ways if c in ("diag", "spherical")]
    made += [Size(*wide, 7, 1, c, "float32") for c in ("full", "tied")]
    made += [Size(*wide, 35, 1, "tied", d) for d in ("float32", "float64")]
    return list(dict.fromkeys(made))


def toy(size: Size) -> Size:
    """Return the size with few points and features."""
    D = min(size.D, 40)
    return Size(min(size.N, 300), D, min(size.K, 4), min(size.R, 3), size.covariances, size.dtype)


def starts(x: Tensor, size: Size) -> gmm.Mixture:
    """Return R mixtures to begin with: points as means, and the variances of the points."""
    generator = torch.Generator().manual_seed(1)
    draws = [torch.randperm(len(x), generator=generator)[: size.K] for _ in range(size.R)]
    means = x[torch.stack(draws).to(x.device)]
    weights = torch.full((size.R, size.K), 1 / size.K, dtype=x.dtype, device=x.device)
    variances = (x.var(0) + REG_COVAR).expand(size.R, size.K, -1)
    covariances = structure(size.covariances).from_variances(variances)
    return gmm.Mixture(weights.log(), means, covariances.contiguous(), size.covariances)


def faces(N: int, D: int) -> Tensor:
    """Return faces of so little contrast that most belong to several components, (N, D)."""
    raw = torch.from_numpy(synthetic_faces(N)[:, :D].copy())
    return 0.5 + 0.03 * (raw.double() / 255 - 0.5)


def blobs(N: int, D: int, K: int) -> Tensor:
    """Return overlapping clusters with correlations of their own, (N, D)."""
    generator = torch.Generator().manual_seed(2)
    centers = 3 * torch.randn(K, D, dtype=torch.float64, generator=generator)
    shapes = torch.randn(K, D, D, dtype=torch.float64, generator=generator) / D**0.5
    label = torch.randint(0, K, (N,), generator=generator)
    x = torch.randn(N, D, dtype=torch.float64, generator=generator)
    for k in range(K):
        rows = label == k
        x[rows] = centers[k] + x[rows] @ (0.5 * shapes[k] + torch.eye(D))
    return x
