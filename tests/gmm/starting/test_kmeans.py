import numpy as np
import pytest
import torch
from oracles import blobs
from sklearn.cluster import KMeans

import gmm
from gmm.points import Points
from gmm.starting.kmeans import random_points, spread_points


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("chunk_size", [None, 11])
def test_lloyd_from_given_centres_equals_scikit_learn(chunk_size):
    x = blobs(100, 3, K=4)
    fit = gmm.kmeans(
        torch.from_numpy(x), 4, init=torch.from_numpy(x[:4]), tol=0, chunk_size=chunk_size
    )
    expected = KMeans(4, init=x[:4], n_init=1, tol=0, algorithm="lloyd").fit(x)
    np.testing.assert_allclose(fit.centers, expected.cluster_centers_)
    np.testing.assert_allclose(fit.inertia, expected.inertia_)
    np.testing.assert_array_equal(fit.predict(torch.from_numpy(x)), expected.labels_)


def test_data_sets_of_different_sizes_are_clustered_as_if_alone():
    sets = [torch.from_numpy(blobs(n, 2, seed=n)) for n in (30, 70, 44)]
    init = torch.stack([x[:3] for x in sets]).unsqueeze(1)
    together = gmm.kmeans(sets, 3, init=init)
    for g, x in enumerate(sets):
        alone = gmm.kmeans(x, 3, init=x[:3])
        torch.testing.assert_close(together.centers[g], alone.centers)
        torch.testing.assert_close(together.inertia[g], alone.inertia)


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_the_best_restart_is_kept(init):
    x = torch.from_numpy(blobs(100, 2, K=6))
    fit = gmm.kmeans(x, 6, n_init=8, init=init, generator=generator())
    assert fit.inertias.shape == (8,)
    assert fit.inertia == fit.inertias.min() < fit.inertias.max()
    gaps = torch.cdist(x, fit.centers).amin(-1).square().sum()
    torch.testing.assert_close(fit.inertia, gaps)


def test_an_empty_cluster_moves_to_the_farthest_point():
    x = torch.tensor([[0.0], [1.0], [2.0], [30.0]], dtype=torch.float64)
    init = torch.tensor([[1.0], [500.0], [600.0]], dtype=torch.float64)
    fit = gmm.kmeans(x, 3, init=init, max_iter=20)
    assert sorted(fit.centers.flatten().tolist()) in ([0.5, 2, 30], [0, 1.5, 30])


def test_random_points_are_different_rows_of_the_data():
    x = torch.rand(20, 2, dtype=torch.float64)
    points = Points([x], chunk_size=6)
    drawn = random_points(points, 3, 20, generator()) + points.center
    for m in range(3):
        rows = torch.cdist(drawn[0, m], x).argmin(-1)
        assert sorted(rows.tolist()) == list(range(20))


def test_k_means_plus_plus_draws_in_proportion_to_the_squared_distance():
    x = torch.tensor([[0.0], [0.0], [1.0], [3.0]], dtype=torch.float64)
    points = Points([x])
    drawn = (spread_points(points, 40_000, 2, generator()) + points.center)[0, :, :, 0]
    from_zero = drawn[drawn[:, 0].abs() < 1e-12, 1]
    assert (from_zero.abs() > 1e-9).all()
    share = (from_zero - 3).abs().lt(1e-9).double().mean()
    np.testing.assert_allclose(share, 9 / 10, atol=0.01)


def test_k_means_plus_plus_measures_from_the_nearest_centre_so_far():
    x = torch.tensor([[0.0], [0.0], [0.0], [4.0], [10.0]], dtype=torch.float64)
    points = Points([x])
    drawn = (spread_points(points, 200, 3, generator()) + points.center)[0, :, :, 0]
    torch.testing.assert_close(drawn.sort(-1).values, drawn.new_tensor([0, 4, 10]).expand(200, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_clusters": 0}, "n_clusters must be at least 1"),
        ({"n_clusters": 9}, r"n_clusters must be at most the number of points \(8\), got 9"),
        ({"n_clusters": 2, "init": "far"}, "init must be one of"),
    ],
)
def test_arguments_that_break_their_rule_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        gmm.kmeans(torch.rand(8, 2), **options)
