import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs, matrices

import gmm
from gmm.kernels import LARGE

STARTS = ["random", "kmeans", "k-means++", "random_from_data"]


class Batches:
    def __init__(self, x):
        self.parts = x.split(13)

    def __iter__(self):
        return iter(self.parts)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_random_start_is_the_study_s():
    x = torch.from_numpy(blobs(300, 50) * np.linspace(0.5, 4, 50))
    start = gmm.make_start(
        x, 400 // 2, gmm.Start("random", rand_const=4.0), n_init=3, generator=generator()
    )
    weights = start.weights
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, dtype=torch.float64))
    ratio = weights.amax(-1) / weights.amin(-1)
    assert ((ratio > 1.1) & (ratio < 5 / 4)).all()
    deviations = ((start.means - x.mean(0)) / x.std(0, correction=0) * 4).numpy()
    np.testing.assert_allclose(deviations.mean(), 0, atol=0.03)
    np.testing.assert_allclose(deviations.std(), 1, atol=0.02)
    expected = (2 * x.var(0, correction=0)).expand_as(start.means)
    torch.testing.assert_close(start.covariances, expected)


def test_the_kmeans_start_takes_five_lloyd_iterations_from_random_points():
    x = torch.rand(600, 2, dtype=torch.float64, generator=generator())
    first = gmm.make_start(x, 8, gmm.Start("random_from_data"), generator=generator())[0]
    centers = first.means.numpy()
    for _ in range(5):
        labels = ((x.numpy()[:, None] - centers) ** 2).sum(-1).argmin(-1)
        centers = np.stack([x.numpy()[labels == k].mean(0) for k in range(8)])
    start = gmm.make_start(x, 8, gmm.Start("kmeans"), generator=generator())[0]
    np.testing.assert_allclose(start.means, centers)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("D", [3, LARGE])
def test_without_rand_const_covariances_are_those_of_the_nearest_points(name, D):
    x = np.concatenate([blobs(40, D, K=1, seed=1), blobs(60, D, K=1, seed=2) + 40])
    points = torch.from_numpy(x)
    start = gmm.make_start(
        points, 2, gmm.Start("k-means++"), covariance_type=name, generator=generator()
    )[0]
    order = start.means[:, 0].argsort().numpy()
    np.testing.assert_allclose(start.weights.numpy()[order], [0.4, 0.6])
    each = [np.cov(part.T, bias=True) for part in (x[:40], x[40:])]
    expected = {
        "full": each,
        "tied": [0.4 * each[0] + 0.6 * each[1]] * 2,
        "diag": [np.diag(np.diag(c)) for c in each],
        "spherical": [np.trace(c) / D * np.eye(D) for c in each],
    }[name]
    made = matrices(start.covariances.numpy(), name, 2, D)[order]
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("init", ["k-means++", "random_from_data"])
def test_starts_at_data_points_are_points_of_the_data(init):
    x = torch.from_numpy(blobs(30, 2))
    start = gmm.make_start(x, 4, gmm.Start(init), n_init=5, generator=generator())
    assert torch.cdist(start.means.flatten(0, 1), x).amin(-1).max() < 1e-6


@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("rand_const", [None, 2.0])
def test_a_start_from_batches_equals_the_one_in_memory(init, rand_const):
    x = torch.from_numpy(blobs(60, 2))
    how = gmm.Start(init, rand_const=rand_const)
    whole = gmm.make_start(x, [2, 4], how, n_init=2, generator=generator())
    parts = gmm.make_start(Batches(x), [2, 4], how, n_init=2, generator=generator())
    assert whole.batch_shape == (2, 2)
    assert whole.n_components.tolist() == [[2, 2], [4, 4]]
    for a, b in zip(parts.tensors(), whole.tensors(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("init", STARTS)
def test_the_floor_holds_for_starts(init):
    x = torch.from_numpy(blobs(60, 2))
    start = gmm.make_start(x, 3, gmm.Start(init), min_variance=50.0, generator=generator())
    assert (start.covariances >= 50).all()


def test_given_parameters_replace_what_would_be_made():
    x = torch.from_numpy(blobs(60, 2))
    means = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    start = gmm.make_start([x, x[:30]], 2, gmm.Start(means_init=means), n_init=3)
    torch.testing.assert_close(start.means, means.expand(2, 3, 2, 2))
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    precisions = torch.tensor([[2.0, 4.0], [1.0, 8.0]], dtype=torch.float64)
    given = gmm.Start(weights_init=weights, means_init=means, precisions_init=precisions)
    start = gmm.make_start(x, 2, given)[0]
    torch.testing.assert_close(start.weights, weights)
    torch.testing.assert_close(start.covariances, 1 / precisions)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_params": "far"}, "init_params must be one of .*, got 'far'"),
        ({"rand_const": 0.0}, "rand_const must be above 0, got 0"),
        ({"lloyd_iter": -1}, "lloyd_iter must be at least 0, got -1"),
    ],
)
def test_options_that_break_their_rule_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        gmm.Start(**options)


def test_more_components_than_points_are_refused():
    with pytest.raises(
        ValueError, match=r"n_components must be at most the number of points \(40\), got 64"
    ):
        gmm.make_start(torch.rand(40, 2), 64)
