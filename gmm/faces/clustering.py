"""Mixtures fitted to the same faces from several starts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fer_lightning.errors import InputError
from gmm.faces.settings import MixtureSettings
from gmm.fitting.em import Callback, Memory, fit_em
from gmm.fitting.em_state import Fit
from gmm.mixtures.mixture import Mixture
from gmm.points import Batches, Distributed
from gmm.starting.starts import make_start


@dataclass(frozen=True, eq=False)
class Clustering:
    """Mixtures fitted to the same faces from several starts.

    Attributes:
        names: The starts.
        fit: Their restarts, batch shape (S, n_init).
        log_likelihood: Of all faces before every M-step, (S, n_init, T), NaN after the end of EM.
        best: The best restart of every start, (S,).
        start: Which start has the best restart of all.
    """

    names: tuple[str, ...]
    fit: Fit
    log_likelihood: Tensor
    best: Tensor
    start: int

    @property
    def mixture(self) -> Mixture:
        """Return the best mixture."""
        return self.fit.mixture[self.start, self.best[self.start]]

    def curve(self, start: int) -> Tensor:
        """Return the log-likelihood at each iteration of the best restart of a start."""
        return finite(self.log_likelihood[start, self.best[start]])


def fit_starts(
    x: Tensor | Batches | Distributed,
    n: int,
    names: tuple[str, ...],
    settings: MixtureSettings,
    seed: int,
    callback: Callback | None = None,
    memory: Memory | None = None,
) -> Clustering:
    """Fit mixtures from every start as one batch; each begins as it would alone.

    Args:
        x: The points.
        n: Number of points, including those of other processes.
        names: The starts.
        settings: Settings of the mixture.
        seed: Seed of the starts.
        callback: See `fit_em`, as for memory.

    Raises:
        InputError: Every restart of every start lost a covariance.
    """
    starts = [
        make_start(
            x,
            settings.n_components,
            settings.start(name),
            covariance_type=settings.covariance_type,
            n_factors=settings.factors[0],
            n_init=settings.n_init,
            generator=torch.Generator().manual_seed(seed),
            **settings.floors,
        )
        for name in names
    ]
    log_weights, means, covariances = map(
        torch.stack, zip(*(start.tensors() for start in starts), strict=True)
    )
    stacked = Mixture(log_weights, means, covariances, settings.covariance_type)
    fit = fit_em(x, stacked, callback=callback, memory=memory, **settings.em)
    final = fit.final_log_likelihood.cpu()
    best = final.argmax(-1)
    tops = final.amax(-1)
    if not bool((tops > -torch.inf).any()):
        raise InputError(f"every restart lost a covariance; {settings.remedy}")
    log_likelihood = (fit.log_likelihood * n).cpu()
    return Clustering(names, fit, log_likelihood, best, int(tops.argmax()))


def near_end(curve: Tensor, share: float = 0.001) -> int | None:
    """Return the first iteration, from 1, whose log-likelihood is near the last, or None.

    Near is within a share of the last log-likelihood.
    """
    if not len(curve):
        return None
    near = (curve - curve[-1]).abs() <= share * curve[-1].abs()
    return int(near.nonzero()[0]) + 1


def finite(curve: Tensor) -> Tensor:
    """Return the finite values of a curve, (T,), which are those before the end of EM."""
    return curve[curve.isfinite()]
