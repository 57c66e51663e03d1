"""Points that are held out of a fit, to be judged by: one part of them, or each once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.expectation.e_step import values_of
from gmm.kernels import EVIDENCE
from gmm.mixtures.mixture import Mixture
from gmm.points import open_points


@dataclass(frozen=True, eq=False)
class Folds:
    """F parts of the points, each held out of a fit to all others.

    Attributes:
        train: Points of each fit, F tensors (N_f, D).
        held_out: The others, F tensors (n_f, D).
    """

    train: tuple[Tensor, ...]
    held_out: tuple[Tensor, ...]

    def score(self, mixture: Mixture, broken: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean log-likelihood of a held-out point, and its standard error, (L).

        The standard error takes the points for independent (Vehtari, Gelman & Gabry 2017, eq. 23):
        it is the standard deviation over all held-out points by the square root of their number.

        Args:
            mixture: Fitted to each of `train`, batch shape (F, L).
            broken: Which of them broke down, (F, L); their points have the likelihood 0.
        """
        points, _ = open_points(
            list(self.held_out),
            device=mixture.means.device,
            row_numbers=mixture.row_numbers,
            wide=mixture.structure.on_diagonal,
        )
        parameters = mixture.relative_to(points.center.double())
        values = values_of(points, parameters, EVIDENCE, torch.float64)  # (F, n, L)
        values = values.masked_fill(broken.unsqueeze(1), -torch.inf)
        rows = torch.arange(values.shape[1], device=values.device)
        each = values[rows < points.n_points.unsqueeze(-1)]  # (points of all folds, L)
        mean, n = each.mean(0), len(each)
        error = (each - mean).square().sum(0).div(n - 1).sqrt() / n**0.5
        return mean, error.masked_fill(~mean.isfinite(), torch.nan)


def draw_folds(
    x: Tensor, held_out: float | None, n_folds: int | None, generator: torch.Generator | None
) -> Folds | None:
    """Return folds of the points, (N, D), drawn at random, or None where none are asked for.

    Args:
        x: Points.
        held_out: Share of the points that is held out of a single fit.
        n_folds: Parts of which each is held out once, instead.
        generator: Source of randomness, on the CPU.

    Raises:
        ValueError: If an argument breaks its rule.
    """
    N = len(x)
    if n_folds is not None and not 2 <= n_folds <= N // 2:
        raise ValueError(f"n_folds must be from 2 to half the number of points, got {n_folds}")
    if n_folds is None and held_out is None:
        return None
    order = torch.randperm(N, generator=generator).to(x.device)
    if n_folds is not None:
        parts = order.tensor_split(n_folds)
    else:
        n = round(N * held_out) if held_out is not None and 0 < held_out < 1 else 0
        if not 2 <= n < N:
            raise ValueError(
                f"held_out must be a share of the points that holds at least 2 of {N} and leaves "
                f"some, got {held_out}"
            )
        parts = (order[:n],)
    is_out = torch.stack([torch.zeros_like(order).index_fill_(0, part, 1) for part in parts]).bool()
    return Folds(tuple(x[~out] for out in is_out), tuple(x[out] for out in is_out))
