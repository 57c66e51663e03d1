"""Faces as points and points as faces: pixels, or scores on principal components."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from gmm.mixture import Mixture


class Features(Protocol):
    """A linear map between faces and what a mixture is fitted to."""

    def encode(self, faces: Tensor) -> Tensor:
        """Points (N, D) from faces in [0, 1], (N, P)."""

    def decode(self, points: Tensor) -> Tensor:
        """The faces (N, P) that points (N, D) stand for."""

    def spread(self, roots: Tensor) -> Tensor:
        """Variances of pixels (P,) from rows A (n, D) whose A^T A is a covariance of points."""


class Pixels:
    """Pixels as they are."""

    def __str__(self) -> str:
        return "pixels"

    def encode(self, faces: Tensor) -> Tensor:
        return faces

    def decode(self, points: Tensor) -> Tensor:
        return points

    def spread(self, roots: Tensor) -> Tensor:
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
        """The first n_features principal components of faces (N, P)."""
        center = faces.mean(0)
        centred = faces - center
        covariance = (centred.mT @ centred / len(faces)).double().cpu().numpy()
        P = len(covariance)
        values, vectors = scipy.linalg.eigh(covariance, subset_by_index=[P - n_features, P - 1])
        rows = vectors.T[::-1]
        largest = rows[np.arange(n_features), np.abs(rows).argmax(1)]
        components = torch.from_numpy(rows * np.sign(largest)[:, None]).to(faces)
        return cls(center, components, float(values.sum() / covariance.trace()))

    def encode(self, faces: Tensor) -> Tensor:
        return (faces - self.center) @ self.components.mT

    def decode(self, points: Tensor) -> Tensor:
        return self.center + points @ self.components

    def spread(self, roots: Tensor) -> Tensor:
        return (roots @ self.components).square().sum(0)

    def save(self, path: Path) -> None:
        """Write the arrays `center` and `components` as .npz."""
        arrays = {name: getattr(self, name).cpu().numpy() for name in ("center", "components")}
        with path.open("wb") as file:
            np.savez(file, **arrays)


def pixel_variances(mixture: Mixture, features: Features) -> Tensor:
    """Variances of every component in pixels, (K, P), whatever the structure of its covariance."""
    K, D = mixture.means.shape
    covariances = mixture.covariances.double()
    white = torch.eye(D, dtype=covariances.dtype, device=covariances.device)
    only = torch.zeros(D, dtype=torch.int64, device=covariances.device)
    variances = []
    for k in range(K):  # one matrix (D, D) at a time bounds the memory
        own = covariances if mixture.structure.is_shared else covariances[k : k + 1]
        roots = mixture.structure.colour(white, own, only).to(mixture.means.dtype)
        variances.append(features.spread(roots))
    return torch.stack(variances)
