import math

import numpy as np
import pytest
import torch
from oracles import blobs, mixture_of, parameters, scipy_log_joint
from scipy.special import logsumexp

import gmm


def test_the_score_is_the_weighted_mean_of_log_likelihoods():
    x, w = blobs(40, 3), np.random.default_rng(0).exponential(size=40)
    p = parameters(x, 2, "full")
    mixture, weights = mixture_of(p, "full"), torch.from_numpy(w)
    expected = np.average(logsumexp(scipy_log_joint(x, p, "full"), 1), weights=w)
    points = torch.from_numpy(x)
    np.testing.assert_allclose(mixture.score(points, sample_weight=weights), expected)
    n_parameters = 1 + 2 * 3 + 2 * 6
    bic = n_parameters * math.log(w.sum()) - 2 * w.sum() * expected
    np.testing.assert_allclose(mixture.bic(points, weights), bic)
    aic = 2 * n_parameters - 2 * w.sum() * expected
    np.testing.assert_allclose(mixture.aic(points, weights), aic)


@pytest.mark.parametrize("criterion", ["score", "bic", "aic"])
def test_whole_weights_of_shared_points_are_repetitions(criterion):
    """Of mixtures (2, 3), on data sets (2,): the three of each share its points and weights."""
    x = torch.stack([torch.from_numpy(blobs(30, 2, seed=s)) for s in (0, 1)])
    counts = torch.from_numpy(np.random.default_rng(1).multinomial(50, np.full(30, 1 / 30), 2))
    parts = [mixture_of(parameters(x[0].numpy(), 2, "diag", seed=s), "diag") for s in range(6)]
    stacked = [torch.stack(t) for t in zip(*(m.tensors() for m in parts), strict=True)]
    mixtures = type(parts[0])(*stacked).reshape((2, 3))
    got = getattr(mixtures, criterion)(x, sample_weight=counts)
    again = torch.stack([a.repeat_interleave(c, 0) for a, c in zip(x, counts, strict=True)])
    assert got.shape == (2, 3)
    torch.testing.assert_close(got, getattr(mixtures, criterion)(again), rtol=1e-12, atol=0)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e300])
def test_a_point_of_weight_zero_may_be_anything(value):
    x = torch.from_numpy(blobs(20, 2))
    mixture = mixture_of(parameters(x.numpy(), 2, "diag"), "diag")
    weights = torch.rand(20, dtype=torch.float64)
    weights[3] = 0
    others = torch.arange(20) != 3
    expected = mixture.score(x[others], sample_weight=weights[others])
    x[3] = value
    got = mixture.score(x, sample_weight=weights)
    torch.testing.assert_close(got, expected, rtol=1e-14, atol=0)


def test_scores_of_float32_stay_float32():
    x = torch.from_numpy(blobs(20, 2)).float()
    mixture = mixture_of(parameters(x.numpy(), 2, "diag"), "diag").to(torch.float32)
    for criterion in (mixture.score, mixture.bic, mixture.aic):
        assert criterion(x).dtype == torch.float32
        assert criterion(x, sample_weight=torch.ones(20)).dtype == torch.float32
        torch.testing.assert_close(criterion(x), criterion(x, sample_weight=torch.ones(20)))


def test_a_point_of_weight_zero_whose_density_is_zero_is_left_out():
    """Its log-likelihood, -5e39 at the origin, is -inf in float32, and 0 times that is NaN."""
    mixture = gmm.Mixture(torch.zeros(1), torch.full((1, 1), 1e5), torch.full((1, 1), 1e-30))
    x, weights = torch.tensor([[1e5], [0.0]]), torch.tensor([2.0, 0.0])
    expected = -0.5 * math.log(2 * math.pi * 1e-30)
    np.testing.assert_allclose(mixture.score(x, sample_weight=weights), expected, rtol=1e-6)
