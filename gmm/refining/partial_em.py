"""Mixtures in which components have been merged and split, and EM on those components alone."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from gmm.expectation.density import Density, Parameters
from gmm.expectation.e_step import sum_up
from gmm.maximising.m_step import m_step
from gmm.points import Block, Points
from gmm.structures import Columns, structure


def change(parameters: Parameters, slots: Tensor, drawn: Tensor) -> Parameters:
    """Return the three components of every candidate as they begin, (G, M * C, 3).

    Two become one with the averages of their parameters (Ueda et al. 2000, eq. 4.1). The halves of
    the third keep its covariance, and their means lie at a point drawn from it and opposite: the
    paper takes a small random offset instead, from which EM needs more steps.

    Args:
        parameters: Of the mixtures, (G, M, K).
        slots: Of the candidates, (G, M, C, 3).
        drawn: A point of every component, (G, M, K, D).
    """
    kind = structure(parameters.covariance_type)
    log_weights, means = (take(t, slots) for t in (parameters.log_weights, parameters.means))
    is_move = slots[..., 0] == slots[..., 2]
    offset = take(drawn, slots)[..., 1, :] - means[..., 1, :]
    share = (log_weights[..., 2] - log_weights[..., ::2].logsumexp(-1)).exp()
    merged = log_weights[..., ::2].logsumexp(-1).masked_fill(is_move, -torch.inf)
    half = log_weights[..., 1] - math.log(2)
    new_means = [
        means[..., 0, :].lerp(means[..., 2, :], share.unsqueeze(-1)),
        means[..., 1, :] + offset,
        means[..., 1, :] - offset,
    ]
    if kind.is_shared:
        covariances = repeat(parameters.covariances, slots.shape[2]).unflatten(1, slots.shape[1:3])
    else:
        first, second, third = take(parameters.covariances, slots).unbind(3)
        weight = share.view(*share.shape, *[1] * (first.ndim - 3))
        covariances = torch.stack([first.lerp(third, weight), second, second], 3)
    parts = (torch.stack([merged, half, half], -1), torch.stack(new_means, -2), covariances)
    flat = [part.flatten(1, 2) for part in parts]
    return Parameters(flat[0], flat[1], flat[2], parameters.covariance_type)


def partial_em(
    points: Points,
    parameters: Parameters,
    slots: Tensor,
    three: Parameters,
    n_steps: int,
    reg_covar: float,
    min_variance: float,
) -> Parameters:
    """Return the three components of every candidate after EM steps on them alone.

    They share out the responsibilities that the three have in the mixture as it was (Ueda et al.
    2000, eq. 4.4), so that no other component changes; nor does a covariance that all share.

    Args:
        points: The data sets.
        parameters: The mixtures as they were, (G, M, K).
        slots: Of the candidates, (G, M, C, 3).
        three: What `change` made of them, (G, M * C, 3).
        n_steps: How many EM steps.
        reg_covar: See `fit_em`, as for min_variance.
    """
    kind, columns = structure(parameters.covariance_type), Columns.of(three.log_weights)
    total = three.log_weights.logsumexp(-1, keepdim=True)
    before = Density(parameters)
    for _ in range(n_steps):
        density = Density(three, columns)

        def responsibilities(block: Block, density: Density = density) -> Tensor:
            old, _ = before.responsibilities(block)  # (G, n, M, K)
            G, n, M, K = old.shape
            C = slots.shape[2]
            index = slots[block.sets].unsqueeze(1).expand(G, n, M, C, 3)
            shares = old.unsqueeze(3).expand(G, n, M, C, K).gather(-1, index).sum(-1)
            new, _ = density.responsibilities(block)
            return (new * shares.flatten(2).unsqueeze(-1)).to(block.x.dtype)

        blocks = points.blocks()
        sums = sum_up(points, kind, blocks, responsibilities, three.means, columns)
        found, _ = m_step(sums, three, columns, reg_covar, min_variance)
        covariances = three.covariances if kind.is_shared else found.covariances
        log_weights = found.log_weights + total
        three = replace(found, log_weights=log_weights, covariances=covariances)
    return three


def put_back(parameters: Parameters, slots: Tensor, three: Parameters) -> Parameters:
    """Return the mixtures with the three components of each candidate in place, (G, M * C, K)."""
    C, kind = slots.shape[2], structure(parameters.covariance_type)
    parts = []
    for i, (old, new) in enumerate(zip(parameters.tensors(), three.tensors(), strict=True)):
        whole = repeat(old, C)
        if i < 2 or not kind.is_shared:
            places = slots.flatten(1, 2)
            for place in range(3):  # a half may take the place of what was to be merged
                index = _as_index(places[..., place : place + 1], new)
                whole = whole.scatter(2, index, new[:, :, place : place + 1])
        parts.append(whole)
    log_weights = parts[0] - parts[0].logsumexp(-1, keepdim=True)
    return Parameters(log_weights, parts[1], parts[2], parameters.covariance_type)


def take(values: Tensor, slots: Tensor) -> Tensor:
    """Return values (G, M, K, ...) at slots (G, M, C, 3), as (G, M, C, 3, ...)."""
    G, M, C, _ = slots.shape
    wide = values.unsqueeze(2).expand(G, M, C, *values.shape[2:])
    return wide.gather(3, _as_index(slots, wide))


def repeat(values: Tensor, C: int) -> Tensor:
    """Return values (G, M, ...) of every mixture C times, (G, M * C, ...)."""
    return values.repeat_interleave(C, 1)


def _as_index(slots: Tensor, values: Tensor) -> Tensor:
    """Return slots with the dimensions that values have after that of the components."""
    missing = values.shape[slots.ndim :]
    return slots.view(*slots.shape, *[1] * len(missing)).expand(*slots.shape, *missing)
