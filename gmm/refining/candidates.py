"""Which components of a mixture might be merged, and which might be split."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.expectation.density import Density, Parameters
from gmm.points import Points

# Points below which a component has none: it is free to become half of another.
_NO_POINTS = 0.5


@dataclass(frozen=True, eq=False)
class Scores:
    """What a pass over the points says of M mixtures for each of G data sets.

    Attributes:
        counts: Sum of the responsibilities, (G, M, K).
        merge: J_merge, (G, M, K, K).
        split: J_split, (G, M, K).
        drawn: A point of every component, (G, M, K, D).
    """

    counts: Tensor
    merge: Tensor
    split: Tensor
    drawn: Tensor


@dataclass(frozen=True, eq=False)
class Candidates:
    """C changes of every mixture: two components become one, and a third becomes two.

    Attributes:
        slots: The component that takes in another, the one that is split, and the other, whose
            place is used for a half, (G, M, C, 3). The first and the last are the same where that
            one has no points, and nothing need be merged.
        is_valid: False where there are fewer, (G, M, C).
    """

    slots: Tensor
    is_valid: Tensor


def score_components(
    points: Points, parameters: Parameters, generator: torch.Generator | None
) -> Scores:
    """Return the scores of all components (Ueda et al. 2000, eqs. 3.1 and 3.2).

    J_merge(i, j) = sum_n r_ni r_nj is large where two components share their points. J_split(k) is
    the divergence of the points of k, weights r_nk / c_k, from its density. By Bayes' rule
    log r_nk - log p_k(x_n) = log pi_k - log p(x_n), so that it is
    log(pi_k / c_k) - sum_n r_nk log p(x_n) / c_k.

    The points are drawn by their responsibilities: the largest log r_nk + g_n, g_n from Gumbel's
    distribution, is at such a point (Yellott 1977).
    """
    (G, M, K), D = parameters.log_weights.shape, points.n_features
    zeros = parameters.means.new_zeros
    counts, merge, evidence = zeros(G, M, K), zeros(G, M, K, K), zeros(G, M, K)
    highest, drawn = zeros(G, M, K).fill_(-torch.inf), parameters.means.clone()
    density = Density(parameters)
    for block in points.blocks():
        joint, log_evidence = density(block)
        log_resp = joint - log_evidence.unsqueeze(-1)  # (G, n, M, K)
        resp, s = block.weigh(log_resp.exp()), block.sets
        counts[s] += resp.sum(1)
        merge[s] += torch.einsum("gnmi,gnmj->gmij", resp, resp)
        evidence[s] += (resp * log_evidence.unsqueeze(-1)).sum(1)
        uniform = torch.rand(log_resp.shape[:2], dtype=torch.float64, generator=generator)
        gumbel = -(-uniform.to(joint.device).log()).log()
        keys = log_resp + gumbel[..., None, None]
        if block.valid is not None:
            keys = keys.masked_fill(~block.valid[..., None, None], -torch.inf)
        top, rows = keys.max(1)
        x = block.x.double().gather(1, rows.flatten(1).unsqueeze(-1).expand(-1, -1, D))
        is_higher = (top > highest[s]).unsqueeze(-1)
        drawn[s] = torch.where(is_higher, x.view(-1, M, K, D), drawn[s])
        highest[s] = torch.maximum(highest[s], top)
    split = parameters.log_weights - counts.log() - evidence / counts
    return Scores(counts, merge, split, drawn)


def find_candidates(scores: Scores, log_weights: Tensor, n_candidates: int) -> Candidates:
    """Return the most promising changes first.

    Pairs to merge and components to split each have a rank, and the sum of both decides. A
    component without points comes before all pairs.

    Args:
        scores: Of the components.
        log_weights: Theirs, (G, M, K), -inf in unused slots.
        n_candidates: C, of which there are fewer in mixtures of few components.
    """
    G, M, K = log_weights.shape
    used = log_weights > -torch.inf
    is_empty = used & (scores.counts < _NO_POINTS)
    full = used & ~is_empty
    pairs = (full.unsqueeze(-1) & full.unsqueeze(-2)).triu(1)
    merge = scores.merge.masked_fill(~pairs, -torch.inf)
    merge.diagonal(dim1=-2, dim2=-1).masked_fill_(is_empty, torch.inf)
    P, S = min(n_candidates, K * K), min(n_candidates, K)
    best, pair = merge.flatten(-2).topk(P)
    i, j = pair // K, pair % K  # (G, M, P)
    split = scores.split.masked_fill(~full, -torch.inf).unsqueeze(2).expand(G, M, P, K)
    for taken in (i, j):
        split = split.scatter(-1, taken.unsqueeze(-1), -torch.inf)
    worst, k = split.topk(S)  # (G, M, P, S)
    is_valid = ((best > -torch.inf).unsqueeze(-1) & (worst > -torch.inf)).flatten(-2)
    ranks = torch.arange(P, device=k.device).unsqueeze(-1) + torch.arange(S, device=k.device)
    ranks = ranks.flatten().expand_as(is_valid).masked_fill(~is_valid, P + S)
    order = ranks.argsort(dim=-1, stable=True)[..., :n_candidates]
    three = (i.unsqueeze(-1).expand_as(k), k, j.unsqueeze(-1).expand_as(k))
    slots = torch.stack([t.flatten(-2).gather(-1, order) for t in three], -1)
    return Candidates(slots, is_valid.gather(-1, order))
