"""A batch of Gaussian mixtures as a value: densities, predictions, samples, files."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gmm.density import Density, Parameters
from gmm.model_file import read_model, write_model
from gmm.points import Points
from gmm.structures import Covariance, FactorAnalysis, structure


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussian mixtures of batch shape *B: p(x) = sum_k pi_k N(x | mu_k, Sigma_k).

    Points given to a batch of mixtures are (*C, N, D) where *C are the first of *B: the mixtures
    of the remaining dimensions share them, so restarts on the same data need no copies of it.

    Attributes:
        log_weights: log pi, (*B, K); -inf in slots without a component.
        means: (*B, K, D).
        covariances: (*B, K, D) if diag, (*B, K) if spherical, (*B, D, D) if tied,
            (*B, K, D, D) if full, and (*B, K, D, q + 1) if factor or ppca: the loadings of q
            factors, and the variances of the noise as the last column.
        covariance_type: diag, spherical, tied, full, factor or ppca.

    Raises:
        ValueError: If the shapes do not agree or the structure is unknown.

    Examples:
        >>> import gmm, torch
        >>> halves, means = torch.tensor([0.5, 0.5]).log(), torch.tensor([[-1.0], [1.0]])
        >>> mixture = gmm.Mixture(halves, means, torch.ones(2, 1))
        >>> mixture.predict(torch.tensor([[-2.0], [3.0]]))
        tensor([0, 1])
        >>> mixture.score_samples(torch.zeros(1, 1))  # log N(0 | 1, 1)
        tensor([-1.4189])
    """

    log_weights: Tensor
    means: Tensor
    covariances: Tensor
    covariance_type: str = "diag"

    def __post_init__(self) -> None:
        *batch, K, D = self.means.shape
        expected = (*batch, *self.structure.shape(K, D))
        for name, shape in (("log_weights", (*batch, K)), ("covariances", expected)):
            if getattr(self, name).shape != shape:
                got = tuple(getattr(self, name).shape)
                raise ValueError(
                    f"{name} must have shape {tuple(shape)} to go with means of shape "
                    f"{tuple(self.means.shape)}, got {got}"
                )

    @property
    def structure(self) -> Covariance:
        return structure(self.covariance_type, self.n_factors)

    @property
    def n_factors(self) -> int | None:
        """Return q of factor and ppca; None of the other structures, which have none."""
        if not isinstance(structure(self.covariance_type), FactorAnalysis):
            return None
        columns = self.covariances.shape[-1] if self.covariances.ndim else 0
        return max(0, columns - 1)

    @property
    def batch_shape(self) -> torch.Size:
        return self.means.shape[:-2]

    @property
    def n_features(self) -> int:
        return self.means.shape[-1]

    @property
    def n_components(self) -> Tensor:
        """Return the number of components of every mixture, (*B)."""
        return (self.log_weights > -torch.inf).sum(-1)

    @property
    def weights(self) -> Tensor:
        return self.log_weights.exp()

    @property
    def n_parameters(self) -> Tensor:
        """Return the number of free parameters of every mixture, (*B)."""
        kind, D = self.structure, self.n_features
        counts = [K * D + K - 1 + kind.n_parameters(K, D) for K in range(self.means.shape[-2] + 1)]
        return torch.tensor(counts, device=self.means.device)[self.n_components]

    def __getitem__(self, index: Any) -> "Mixture":
        """Return some mixtures of the batch, without the slots that none of them uses."""
        parts = [t[index] for t in self.tensors()]
        at_k = parts[0].ndim - 1
        used = (parts[0] > -torch.inf).reshape(-1, parts[0].shape[-1]).any(0)
        slots = used.nonzero().squeeze(-1)
        n_with_k = 2 if self.structure.is_shared else 3
        packed = [t.index_select(at_k, slots) for t in parts[:n_with_k]]
        return self._with([*packed, *parts[n_with_k:]])

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.log_weights, self.means, self.covariances

    def _with(self, tensors: Iterable[Tensor]) -> "Mixture":
        log_weights, means, covariances = tensors
        return Mixture(log_weights, means, covariances, self.covariance_type)

    def to(self, *args: Any, **kwargs: Any) -> "Mixture":
        """Return the mixtures on another device or in another dtype, as `Tensor.to`."""
        return self._with(t.to(*args, **kwargs) for t in self.tensors())

    def log_joint(self, x: Tensor, chunk_size: int | None = None) -> Tensor:
        """Return log(pi_k N(x_n | mu_k, Sigma_k)), (*B, N, K)."""
        return self._evaluate(x, lambda joint, _: joint, chunk_size)

    def score_samples(
        self, x: Tensor, chunk_size: int | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Return log p(x_n), (*B, N), in the dtype of x unless another is asked for."""
        return self._evaluate(x, lambda _, log_evidence: log_evidence, chunk_size, dtype)

    def predict_proba(self, x: Tensor, chunk_size: int | None = None) -> Tensor:
        """Return the responsibilities (Bishop 2006, eq. 9.23), (*B, N, K)."""
        return self._evaluate(x, lambda joint, ev: (joint - ev.unsqueeze(-1)).exp(), chunk_size)

    def predict(self, x: Tensor, chunk_size: int | None = None) -> Tensor:
        """Return the most probable component of each point, (*B, N)."""
        return self._evaluate(x, lambda joint, _: joint.argmax(-1), chunk_size, torch.int64)

    def score(self, x: Tensor, chunk_size: int | None = None) -> Tensor:
        """Return the mean log-likelihood of a point, (*B)."""
        return self.score_samples(x, chunk_size).mean(-1)

    def bic(self, x: Tensor) -> Tensor:
        """Return the Bayesian information criterion, (*B); lower is better."""
        penalty = self.n_parameters * math.log(x.shape[-2])
        return penalty - 2 * x.shape[-2] * self.score(x)

    def aic(self, x: Tensor) -> Tensor:
        """Return the Akaike information criterion, (*B); lower is better."""
        return 2 * self.n_parameters - 2 * x.shape[-2] * self.score(x)

    def sample(
        self, n_samples: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw points from one mixture.

        Args:
            n_samples: How many points, at least 1.
            generator: Source of randomness, on the CPU.

        Returns:
            Points (n_samples, D) and the component of each (n_samples,), in random order.

        Raises:
            ValueError: If n_samples is below 1 or this is a batch of mixtures.
        """
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}")
        if self.batch_shape:
            raise ValueError(f"sample must be asked of one mixture, got {tuple(self.batch_shape)}")
        weights = self.log_weights.softmax(-1).double().cpu()
        labels = torch.multinomial(weights, n_samples, replacement=True, generator=generator)
        noise = torch.randn(
            n_samples, self.n_features, dtype=self.means.dtype, generator=generator
        ).to(self.means.device)
        labels = labels.to(self.means.device)
        return self.means[labels] + self.structure.colour(noise, self.covariances, labels), labels

    def save(self, path: str | Path) -> None:
        """Write the mixtures to a file that `load` reads without running code from it."""
        tensors = {n: getattr(self, n).cpu() for n in ("log_weights", "means", "covariances")}
        write_model(path, {"covariance_type": self.covariance_type, **tensors})

    @classmethod
    def load(cls, path: str | Path) -> "Mixture":
        """Read mixtures from a file that `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ModelFileError: If it is a file that `save` did not write, or damaged.
        """
        return read_model(path, cls)

    def _evaluate(
        self,
        x: Tensor,
        reduce: Callable[[Tensor, Tensor], Tensor],
        chunk_size: int | None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Return reduce(joint, log_evidence) of every point, (*B, N, ...)."""
        if x.shape[-1] != self.n_features:
            raise ValueError(f"x must have {self.n_features} features, got {x.shape[-1]}")
        C = x.shape[:-2]
        if self.batch_shape[: len(C)] != C:
            raise ValueError(
                f"x must have a batch shape that begins {tuple(self.batch_shape)}, got {tuple(C)}"
            )
        flat = self.flatten(len(C))
        sets = list(x.reshape(-1, *x.shape[-2:]))
        center = (flat.weights.unsqueeze(-1) * flat.means).sum(-2).mean(1)
        points = Points(
            *(sets, self.means.device, None, chunk_size, center),
            *(flat.row_numbers, self.structure.on_diagonal),
        )
        density = Density(flat.relative_to(points.center.double()))
        out: Tensor | None = None
        for block in points.blocks():
            part = reduce(*density(block)).to(dtype or points.dtype)
            if out is None:
                out = part.new_empty(len(sets), x.shape[-2], *part.shape[2:])
            out[block.sets, block.start : block.start + part.shape[1]] = part
        assert out is not None
        out = (
            out.unflatten(2, self.batch_shape[len(C) :])
            if self.batch_shape[len(C) :]
            else out[:, :, 0]
        )
        out = out.unflatten(0, C) if C else out[0]
        return out.movedim(len(C), len(self.batch_shape))

    def flatten(self, n_shared: int) -> "Mixture":
        """Return the same mixtures with batch shape (G, M); G is the first n_shared dimensions."""
        batch = self.batch_shape
        return self.reshape((batch[:n_shared].numel(), batch[n_shared:].numel()))

    def reshape(self, batch_shape: tuple[int, ...]) -> "Mixture":
        """Return the same mixtures with another batch shape."""
        n = len(self.batch_shape)
        return self._with(t.reshape((*batch_shape, *t.shape[n:])) for t in self.tensors())

    def relative_to(self, center: Tensor) -> Parameters:
        """Return the parameters of (G, M) mixtures relative to the centres (G, D)."""
        means = self.means.double() - center[:, None, None]
        unused = self.log_weights == -torch.inf
        means = torch.where(unused.unsqueeze(-1), 0, means)
        log_weights, covariances = self.log_weights.double(), self.covariances.double()
        return Parameters(log_weights, means, covariances, self.covariance_type)

    def row_numbers(self, D: int) -> int:
        """Return the largest number of values that EM keeps in memory per point of D features."""
        M, K = self.batch_shape.numel(), self.means.shape[-2]
        return self.structure.row_numbers(M, K, D)
