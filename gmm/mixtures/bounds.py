"""Bounds of entropies and divergences of mixtures, which have no closed form.

All of them hold exactly, up to rounding: none is an estimate. They are in nats.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gmm.mixtures.components import Components, normalised
from gmm.mixtures.moments import overall_covariance
from gmm.mixtures.pairs import divergences, entropies, gaussian_entropy, overlaps

# exp(-1e200) is 0, but a product of both is 0 too, and not NaN as with -inf.
_NEGLIGIBLE = -1e200


class Bounds(NamedTuple):
    """What a quantity is at least and at most.

    Attributes:
        lower: (*B).
        upper: (*B).
    """

    lower: Tensor
    upper: Tensor


def entropy_bounds(f: Components) -> Bounds:
    """Return bounds of the entropy H(f) = -E_f[log f].

    The lower one is the larger of two: -sum_a pi_a log sum_b pi_b int f_a f_b (Huber et al. 2008,
    theorem 2), and sum_a pi_a (H(f_a) - log sum_b pi_b int (f_a f_b)^(1/2)) (Kolchinsky and Tracey
    2017, section 3, with the Bhattacharyya distance). The upper one is the smaller of two: sum_a
    pi_a (H(f_a) - log sum_b pi_b exp(-D(f_a || f_b))) (the same, with the Kullback-Leibler
    divergence), which is never above sum_a pi_a (H(f_a) - log pi_a) (Huber et al. 2008, theorem
    3), and the entropy of a single Gaussian with the moments of the mixture.
    """
    product, root = overlaps(f, f)
    own = entropies(f)
    by_product = -_average(f, _log_sum(f, product))
    by_root = _average(f, own - _log_sum(f, root))
    by_pairs = _average(f, own - _log_sum(f, -divergences(f, f)))
    whole = torch.linalg.slogdet(overall_covariance(f)).logabsdet
    single = gaussian_entropy(whole, f.means.shape[-1])
    return Bounds(torch.maximum(by_product, by_root), torch.minimum(by_pairs, single))


def kl_bounds(f: Components, g: Components) -> Bounds:
    """Return bounds of D(f || g) = E_f[log f - log g].

    It is the cross-entropy -E_f[log g] less the entropy of f. The cross-entropy is at least
    -sum_a pi_a log sum_b omega_b int f_a g_b and at most sum_a pi_a (H(f_a) - log sum_b omega_b
    exp(-D(f_a || g_b))); with bounds of the entropy these are the bounds of Durrieu et al. 2012,
    and tighter where those of `entropy_bounds` are. The divergence is never below 0, nor above the
    variational upper bound of Hershey and Olsen 2007, the one that approaches 0 where f and g are
    the same. Their variational approximation is left out, for it bounds nothing.
    """
    entropy = entropy_bounds(f)
    product, _ = overlaps(f, g)
    divergence = divergences(f, g)
    lower = -_average(f, _log_sum(g, product)) - entropy.upper
    upper = _average(f, entropies(f) - _log_sum(g, -divergence)) - entropy.lower
    upper = torch.minimum(upper, _matched(f, g, divergence))
    return Bounds(lower.clamp_min(0), upper.clamp_min(0))


def _matched(f: Components, g: Components, divergence: Tensor, n_steps: int = 100) -> Tensor:
    """Return sum_ab phi_ab (log(phi_ab / psi_ab) + D(f_a || g_b)), a bound for any phi and psi.

    Both share weights out among pairs, phi those of f and psi those of g. Each step finds the best
    of one for the other, and from step to step the bound falls (Hershey and Olsen 2007).
    """
    of_f, of_g = _log_weights(f).unsqueeze(-1), _log_weights(g).unsqueeze(-2)
    log_phi = log_psi = of_f + of_g
    for _ in range(n_steps):
        log_phi = normalised(log_psi - divergence, -1) + of_f
        log_psi = normalised(log_phi, -2) + of_g
    return (log_phi.exp() * (log_phi - log_psi + divergence)).sum((-2, -1))


def _log_sum(g: Components, logs: Tensor) -> Tensor:
    """Return log sum_b omega_b exp(logs_ab), (*B, K_f)."""
    return (_log_weights(g).unsqueeze(-2) + logs).logsumexp(-1)


def _average(f: Components, values: Tensor) -> Tensor:
    """Return sum_a pi_a values_a, (*B)."""
    return (f.log_weights.exp() * values).sum(-1)


def _log_weights(f: Components) -> Tensor:
    """Return finite logarithms of the weights, also of those that are 0."""
    return f.log_weights.clamp_min(_NEGLIGIBLE)
