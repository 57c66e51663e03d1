import numpy as np
import pytest
import torch
from mixtures_at_random import mixture_batch, plane
from oracles import STRUCTURES, matrices
from torch.distributions import MultivariateNormal, kl_divergence

import gmm
from gmm.mixtures.components import Components, components
from gmm.mixtures.pairs import divergences, entropies, overlaps

MIXED = [(name, name) for name in STRUCTURES] + [("diag", "full"), ("tied", "spherical")]


def of(mixture: gmm.Mixture) -> Components:
    return components(*mixture.tensors(), mixture.covariance_type)


def normals(mixture: gmm.Mixture) -> list[MultivariateNormal]:
    K, D = mixture.means.shape
    of_each = matrices(mixture.covariances.numpy(), mixture.covariance_type, K, D)
    return [
        MultivariateNormal(m, torch.tensor(C)) for m, C in zip(mixture.means, of_each, strict=True)
    ]


@pytest.mark.parametrize(("one", "other"), MIXED)
def test_overlaps_are_integrals_of_products(one, other):
    f, g = mixture_batch(one, K=2), mixture_batch(other, K=3, seed=2)
    product, root = overlaps(of(f), of(g))
    grid, area = plane()
    log_f, log_g = (torch.stack([n.log_prob(grid) for n in normals(m)]) for m in (f, g))
    log_pairs = log_f.unsqueeze(1) + log_g
    torch.testing.assert_close(product.exp(), log_pairs.exp().sum(-1) * area)
    torch.testing.assert_close(root.exp(), (log_pairs / 2).exp().sum(-1) * area)


@pytest.mark.parametrize(("one", "other"), MIXED)
def test_divergences_are_those_of_pytorch(one, other):
    f, g = mixture_batch(one, K=2, D=3), mixture_batch(other, K=4, D=3, seed=2)
    expected = [[kl_divergence(a, b) for b in normals(g)] for a in normals(f)]
    torch.testing.assert_close(divergences(of(f), of(g)), torch.tensor(expected))


@pytest.mark.parametrize("name", STRUCTURES)
def test_entropies_are_those_of_pytorch(name):
    f = mixture_batch(name, K=4, D=3)
    expected = torch.stack([n.entropy() for n in normals(f)])
    torch.testing.assert_close(entropies(of(f)).expand(4), expected)


@pytest.mark.parametrize(("one", "other"), MIXED)
def test_batches_of_pairs_broadcast(one, other):
    f, g = mixture_batch(one, (2, 1), K=2, D=3), mixture_batch(other, (3,), K=4, D=3, seed=9)
    together = [*overlaps(of(f), of(g)), divergences(of(f), of(g))]
    for i, j in np.ndindex(2, 3):
        alone = of(f[i, 0]), of(g[j])
        for many, each in zip(together, [*overlaps(*alone), divergences(*alone)], strict=True):
            assert many.shape == (2, 3, 2, 4)
            torch.testing.assert_close(many[i, j], each, rtol=1e-11, atol=1e-11)
