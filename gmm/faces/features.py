"""Faces as points and points as faces: pixels, or scores on principal components."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from gmm.mixtures.mixture import Mixture


class Features(Protocol):
    """A linear map between faces and the points that a mixture is fitted to."""

    def encode(self, faces: Tensor) -> Tensor:
        """Return points (N, D) from faces in [0, 1], (N, P)."""

    def decode(self, points: Tensor) -> Tensor:
        """Return the faces (N, P) that correspond to points (N, D)."""

    def spread(self, variances: Tensor) -> Tensor:
        """Return the variances of pixels, (K, P), from those of uncorrelated features, (K, D)."""

    def spread_roots(self, roots: Tensor) -> Tensor:
        """Return the variances of pixels, (P,), from rows A (n, D) whose A^T A is a covariance."""


class Pixels:
    """Pixels as they are."""

    def __str__(self) -> str:
        return "pixels"

    def encode(self, faces: Tensor) -> Tensor:
        return faces

    def decode(self, points: Tensor) -> Tensor:
        return points

    def spread(self, variances: Tensor) -> Tensor:
        return variances

    def spread_roots(self, roots: Tensor) -> Tensor:
        return roots.square().sum(0)


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Scores on the directions of largest variance (Bishop 2006, section 12.1).

    Attributes:
        center: Mean face, (P,).
        components: Orthonormal rows, the largest variance first, (D, P).
        explained: Their share of the faces' variance, in [0, 1].
    """

    center: Tensor
    components: Tensor
    explained: float

    def __str__(self) -> str:
        return f"{len(self.components)} principal components ({self.explained:.1%} of the variance)"

    @classmethod
    def of(cls, faces: Tensor, n_features: int) -> "PrincipalComponents":
        """Return the first n_features principal components of faces (N, P)."""
        center = faces.mean(0)
        centred = (faces - center).cpu()
        rows, variances = _principal(centred, n_features)
        largest = rows[np.arange(n_features), np.abs(rows).argmax(1)]
        components = torch.from_numpy(rows * np.sign(largest)[:, None]).to(faces)
        total = float(centred.double().square().sum()) / len(centred)
        return cls(center, components, float(variances.sum() / total))

    def encode(self, faces: Tensor) -> Tensor:
        return (faces - self.center) @ self.components.mT

    def decode(self, points: Tensor) -> Tensor:
        return self.center + points @ self.components

    def spread(self, variances: Tensor) -> Tensor:
        return variances @ self.components.square()

    def spread_roots(self, roots: Tensor) -> Tensor:
        return (roots @ self.components).square().sum(0)

    def save(self, path: Path) -> None:
        """Write the arrays `center` and `components` as .npz."""
        arrays = {name: getattr(self, name).cpu().numpy() for name in ("center", "components")}
        with path.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path, explained: float) -> "PrincipalComponents":
        """Return what `save` wrote; the share of the variance is not in there.

        Raises:
            OSError: There is no such file.
            Exception: It is damaged, or another kind of file; NumPy raises many kinds.
        """
        with np.load(path, allow_pickle=False) as arrays:
            center, components = (
                torch.from_numpy(arrays[name]).float() for name in ("center", "components")
            )
        if center.ndim != 1 or components.shape[1:] != center.shape:
            raise ValueError("shapes that do not agree")
        return cls(center, components, explained)


def _principal(centred: Tensor, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the n principal directions of centred points (N, P), (n, P), and their variances."""
    N, P = centred.shape
    if N < P:
        _, singular, rows = torch.linalg.svd(centred.double(), full_matrices=False)
        return rows[:n].numpy(), (singular[:n].square() / N).numpy()
    covariance = (centred.mT @ centred / N).double().numpy()
    variances, columns = scipy.linalg.eigh(covariance, subset_by_index=[P - n, P - 1])
    return columns.T[::-1], variances[::-1]


def pixel_variances(mixture: Mixture, features: Features) -> Tensor:
    """Return the variances of pixels in every component, (K, P), for any covariance structure."""
    K, D = mixture.means.shape
    kind, covariances = mixture.structure, mixture.covariances.double()
    if kind.on_diagonal:
        components = torch.arange(K, device=covariances.device)
        deviations = kind.colour(covariances.new_ones(K, D), covariances, components)
        return features.spread(deviations.to(mixture.means.dtype).square())
    white = torch.eye(D, dtype=covariances.dtype, device=covariances.device)
    only = torch.zeros(D, dtype=torch.int64, device=covariances.device)
    variances = []
    for k in range(K):  # one matrix (D, D) at a time bounds the memory
        own = covariances if kind.is_shared else covariances[k : k + 1]
        roots = kind.colour(white, own, only).to(mixture.means.dtype)
        variances.append(features.spread_roots(roots))
    return torch.stack(variances)
