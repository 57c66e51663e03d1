"""The number of components, chosen from mixtures of every number, fitted as one batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gmm.choosing.choice import CRITERIA, Choice
from gmm.choosing.folds import Folds, draw_folds
from gmm.fitting.final_pass import final_pass
from gmm.fitting.fit import fit_many
from gmm.mixtures.mixture import Mixture
from gmm.points import as_points, open_points
from gmm.structures import structure


def choose(
    x: Tensor,
    n_components: Sequence[int],
    *,
    criterion: str = "bic",
    covariance_type: str | Sequence[str] = "diag",
    n_init: int = 1,
    held_out: float | None = 0.2,
    n_folds: int | None = None,
    generator: torch.Generator | None = None,
    **options: Any,
) -> Choice:
    """Choose the number of components, and the structure of covariances if several are given.

    Mixtures of every number of components, their restarts, and those for the held-out points are
    one call of `fit_many` for each structure.

    Args:
        x: Points, (N, D).
        n_components: The numbers to choose from.
        criterion: What decides: bic, aic, icl or held_out; see `Choice`.
        covariance_type: One structure, or several to choose from, see `fit_many`.
        n_init: Restarts, of which the best is kept.
        held_out: Share of the points that are held out of fits of their own, to judge those by;
            None leaves these fits out.
        n_folds: Cross-validation in place of one share: so many parts, each held out once. The
            points are copied as often.
        generator: Source of randomness, on the CPU.
        options: Further arguments of `fit_many`: start, max_iter, tol, reg_covar and so on.

    Raises:
        ValueError: If an argument breaks its rule, or every mixture broke down.

    Examples:
        Two clouds of points:

        >>> import gmm, torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> middles = torch.tensor([-5.0, 5.0]).view(2, 1, 1)
        >>> x = (torch.randn(2, 200, 2, generator=generator) + middles).flatten(0, 1)
        >>> choice = gmm.choose(x, range(1, 5), n_init=5, generator=generator)
        >>> choice.n_components, choice.mixture.means.shape
        (2, torch.Size([2, 2]))
        >>> choice.bic.argmin(), choice.held_out.shape  # a row per structure, a column per number
        (tensor(1), torch.Size([1, 4]))
    """
    x = as_points(x)
    if x.ndim != 2:
        raise ValueError(f"x must be (N, D) points, got shape {tuple(x.shape)}")
    numbers = tuple(int(K) for K in n_components)
    kinds = (covariance_type,) if isinstance(covariance_type, str) else tuple(covariance_type)
    _check(numbers, kinds, criterion)
    folds = draw_folds(x, held_out, n_folds, generator)
    if criterion == "held_out" and folds is None:
        raise ValueError("held_out must not be None with criterion 'held_out', got None")
    sets = [x, *(folds.train if folds is not None else ())]
    rows = []
    for kind in kinds:
        fits = fit_many(
            sets, numbers, covariance_type=kind, n_init=n_init, generator=generator, **options
        )
        broken = fits.singular.any(-1)
        rows.append(_judge(x, fits.mixture, broken, fits.converged, folds))
    columns = zip(*(row[1:] for row in rows), strict=True)
    stacked = [torch.stack(column) for column in columns]
    mixtures = tuple(row[0] for row in rows)
    return Choice(criterion, kinds, numbers, mixtures, len(x), *stacked)


def _check(numbers: tuple[int, ...], kinds: tuple[str, ...], criterion: str) -> None:
    named: dict[str, tuple[Any, ...]] = {"n_components": numbers, "covariance_type": kinds}
    for name, given in named.items():
        if not given or len(set(given)) < len(given):
            raise ValueError(f"{name} must name at least one, and none twice, got {list(given)}")
    for kind in kinds:
        structure(kind)
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {list(CRITERIA)}, got {criterion!r}")


def _judge(
    x: Tensor, mixture: Mixture, broken: Tensor, converged: Tensor, folds: Folds | None
) -> tuple[Any, ...]:
    """Return the mixtures of all points, and what the criteria are made of, (L) in float64.

    Args:
        x: Points, (N, D).
        mixture: Fitted to all points and to those of each fold, (1 + F, L).
        broken: Which of them broke down, (1 + F, L).
        converged: Which of them converged, (1 + F, L).
        folds: The held-out points.
    """
    L = mixture.batch_shape[1]
    of_all = _part(mixture, slice(0, 1))
    log_likelihood, entropy = _of_final_parameters(x, of_all)
    log_likelihood = log_likelihood.masked_fill(broken[0], -torch.inf)
    score, error = torch.full((2, L), torch.nan, dtype=torch.float64)
    if folds is not None:
        score, error = folds.score(_part(mixture, slice(1, None)), broken[1:])
    values = (log_likelihood, entropy, of_all.n_parameters[0], score, error)
    means = [v.cpu().double() for v in values]
    return of_all.reshape((L,)), *means, converged[0].cpu()


def _part(mixture: Mixture, sets: slice) -> Mixture:
    """Return the mixtures of some data sets, with all their slots."""
    log_weights, means, covariances = (t[sets] for t in mixture.tensors())
    return Mixture(log_weights, means, covariances, mixture.covariance_type)


def _of_final_parameters(x: Tensor, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Return the log-likelihood of all points and the entropy of the responsibilities, (L).

    Both come from one pass over the points, by the mixtures as they are, batch shape (1, L).
    """
    points, _ = open_points(
        x,
        device=mixture.means.device,
        row_numbers=mixture.row_numbers,
        wide=mixture.structure.on_diagonal,
    )
    found = final_pass(points, mixture, entropy=True)
    assert found.entropy is not None
    return found.log_evidence[0], -found.entropy[0]
