"""Lloyd's algorithm with bounds against the algorithm without, and scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

import gmm
from gmm import kernels
from gmm.points import open_points
from gmm.starting.kmeans import lloyd, random_points


def clouds(N, D, K, seed=0):
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(K, D)) * 1.5
    return torch.from_numpy(middles[rng.integers(K, size=N)] + rng.normal(size=(N, D)))


@pytest.mark.parametrize(("N", "D", "K"), [(300, 1, 4), (700, 2, 3), (2000, 5, 12), (900, 40, 20)])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_it_takes_the_steps_of_the_plain_algorithm(N, D, K, is_weighted, monkeypatch):
    x = clouds(N, D, K)
    weights = [torch.from_numpy(np.random.default_rng(1).uniform(0.2, 3, N))]
    options = {"weights": weights if is_weighted else None}
    points, _ = open_points(x, **options)
    begin = random_points(points, 3, K, torch.Generator().manual_seed(1))
    used = torch.ones(1, 3, K, dtype=torch.bool)
    centers, inertia, n_iter = lloyd(points, begin, used, 100)
    monkeypatch.setattr(kernels, "DEVICES", ())
    expected = lloyd(open_points(x, **options)[0], begin, used, 100)
    assert torch.equal(n_iter, expected[2])
    torch.testing.assert_close(centers, expected[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(inertia, expected[1], rtol=1e-10, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_ends_where_scikit_learn_does(dtype):
    x = clouds(1500, 6, 5).to(dtype)
    begin = x[:5]
    ours = gmm.kmeans(x, 5, init=begin, max_iter=300, tol=0)
    theirs = KMeans(5, init=begin.numpy(), n_init=1, max_iter=300, tol=0).fit(x.numpy())
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.inertia, theirs.inertia_, rtol=1e-5)


def test_a_centre_without_points_begins_anew_at_the_farthest_point():
    x = torch.tensor([[0.0], [0.1], [0.2], [9.0], [9.4]], dtype=torch.float64)
    begin = torch.tensor([[0.1], [8.0], [500.0]], dtype=torch.float64)
    fit = gmm.kmeans(x, 3, init=begin, max_iter=1)
    # The nearest of the first two have means 0.1 and 9.2; 9.4 is the farthest from where they were.
    np.testing.assert_allclose(fit.centers.flatten(), [0.1, 9.2, 9.4])
    np.testing.assert_allclose(gmm.kmeans(x, 3, init=begin).inertia, 0.02, rtol=1e-12)


def test_restarts_side_by_side_are_those_of_one_each():
    x = clouds(400, 3, 4)
    begin = torch.stack([x[i : i + 4] for i in (0, 50, 90)])
    together = gmm.kmeans(x, 4, n_init=3, init=begin)
    alone = [float(gmm.kmeans(x, 4, init=one).inertia) for one in begin]
    np.testing.assert_allclose(together.inertias, alone, rtol=1e-12)
