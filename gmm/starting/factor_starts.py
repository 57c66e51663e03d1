"""Where the loadings of factor analysis begin: at leading directions of the points."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.expectation.e_step import sum_up
from gmm.maximising.m_step import m_step
from gmm.points import Block, Points
from gmm.structures import Columns, structure

# Steps from random loadings, which turn them as orthogonal iteration does.
_STEPS = 4
# Share of a variance that is noise at least: few points span fewer directions than factors.
_LEAST_SHARE = 0.01
_LEAST = 1e-6  # of the mean variance of all features, for one that does not vary


def leading_factors(
    points: Points,
    made: Parameters,
    responsibilities: Callable[[Block], Tensor],
    generator: torch.Generator | None,
) -> Parameters:
    """Return the parameters with the factors that given responsibilities lead to.

    Args:
        points: The G data sets.
        made: Means and variances, whose loadings are replaced, (G, M, ...).
        responsibilities: As for `sum_up`; they stay what they are.
        generator: Source of the first loadings, the same for all components.
    """
    columns, kind = Columns(None, *made.log_weights.shape[1:]), structure(made.covariance_type)
    least = _LEAST * points.moments[1].mean(-1)[:, None, None, None, None]
    begun = _with_random_loadings(made.covariances, generator)
    found = replace(made, covariances=_with_noise(begun, least))
    for _ in range(_STEPS):
        parameters = (found.means, columns, found.covariances)
        sums = sum_up(points, kind, points.blocks(), responsibilities, *parameters)
        found, _ = m_step(sums, found, columns, reg_covar=0, min_variance=0)
        found = replace(found, covariances=_with_noise(found.covariances, least))
    return found


def factors_of_all(
    points: Points, made: Parameters, generator: torch.Generator | None
) -> Parameters:
    """Return the parameters with covariances that are twice the factors and noise of all points."""
    mean, variance = (moment[:, None, None] for moment in points.moments)
    G, q = len(points), made.covariances.shape[-1] - 1
    weights = torch.zeros(G, 1, 1, dtype=torch.float64, device=points.device)
    variances = torch.nn.functional.pad(variance.unsqueeze(-1), (q, 0))
    one = Parameters(weights, mean, variances, made.covariance_type)

    def everyone(block: Block) -> Tensor:
        return block.x.new_ones(*block.x.shape[:2], 1, 1)

    covariances = leading_factors(points, one, everyone, generator).covariances
    twice = torch.cat([covariances[..., :-1] * 2**0.5, covariances[..., -1:] * 2], -1)
    return replace(made, covariances=twice.expand_as(made.covariances))


def _with_random_loadings(covariances: Tensor, generator: torch.Generator | None) -> Tensor:
    *_, D, q = covariances[..., 1:].shape
    drawn = torch.randn(D, q, dtype=torch.float64, generator=generator).to(covariances.device)
    noise = covariances[..., -1:]
    return torch.cat([drawn * noise.sqrt(), noise], -1)


def _with_noise(covariances: Tensor, least: Tensor) -> Tensor:
    """Return covariances of no less noise than their share, nor than the least."""
    loadings, noise = covariances[..., :-1], covariances[..., -1:]
    total = noise + loadings.square().sum(-1, keepdim=True)
    return torch.cat([loadings, noise.maximum(_LEAST_SHARE * total).maximum(least)], -1)
