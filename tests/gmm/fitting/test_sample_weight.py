"""Weighted points against repeated ones, plain NumPy and scikit-learn, by kernels and by blocks."""

import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs, matrices, mixture_of, parameters, scipy_log_joint
from scipy.special import logsumexp
from sklearn.cluster import KMeans

import gmm
from gmm import kernels
from gmm.points import Points, open_points
from gmm.starting.kmeans import random_points, spread_points
from gmm.structures.statistics import ExponentialFamily

FACTORED = ("factor", "ppca")
INITS = ["random", "kmeans", "k-means++", "random_from_data"]


@pytest.fixture(params=["kernels", "blocks", "statistics"])
def way(request, monkeypatch):
    """Where sums are taken: compiled loops, blocks, or blocks that keep statistics, as on a GPU."""
    if request.param != "kernels":
        monkeypatch.setattr(kernels, "DEVICES", ())
    if request.param == "statistics":
        monkeypatch.setattr(
            ExponentialFamily,
            "keeps_statistics",
            lambda self, block: block.x.dtype == torch.float64,
        )
    return request.param


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def counted(n, seed=0):
    """Return whole numbers from 0 to 4, some of them 0, (n,)."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 5, n))


def repeated(x, counts):
    return x.repeat_interleave(counts, 0)


def assert_same_mixtures(a, b, tolerance=1e-10):
    for ours, theirs in zip(a.tensors(), b.tensors(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def assert_same_fits(a, b, tolerance=1e-10):
    assert_same_mixtures(a.mixture, b.mixture, tolerance)
    torch.testing.assert_close(
        a.log_likelihood, b.log_likelihood, rtol=tolerance, atol=tolerance, equal_nan=True
    )
    assert torch.equal(a.n_iter, b.n_iter)
    assert torch.equal(a.converged, b.converged)


def starts_of(x, name, K=3):
    """Return two mixtures to begin at, which weights have no part in, batch shape (2,)."""
    options = {"covariance_type": name, "n_factors": 2, "reg_covar": 1e-3, "n_init": 2}
    return gmm.make_start(x, K, generator=generator(), **options)


def numpy_em(x, w, p, name, steps, reg_covar):
    """Return weights, means, covariances and mean log-likelihoods of weighted EM."""
    D, history = x.shape[1], []
    for _ in range(steps):
        joint = scipy_log_joint(x, p, name)
        evidence = logsumexp(joint, 1)
        history.append(np.average(evidence, weights=w))
        resp = np.exp(joint - evidence[:, None]) * w[:, None]
        n = resp.sum(0)
        means = resp.T @ x / n[:, None]
        gaps = x[:, None] - means
        spread = np.einsum("nk,nki,nkj->kij", resp, gaps, gaps)
        own = spread / n[:, None, None]
        covariances = {
            "full": own + reg_covar * np.eye(D),
            "tied": spread.sum(0) / w.sum() + reg_covar * np.eye(D),
            "diag": np.diagonal(own, 0, 1, 2) + reg_covar,
            "spherical": np.trace(own, 0, 1, 2) / D + reg_covar,
        }[name]
        p = {"weights": n / w.sum(), "means": means, "covariances": covariances}
    return p, history


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("chunk_size", [None, 17])
def test_weighted_em_steps_are_those_of_plain_numpy(name, chunk_size, way):
    x, w = blobs(120, 3), np.random.default_rng(1).exponential(size=120)
    p = parameters(x, 3, name)
    fit = gmm.fit_em(
        torch.from_numpy(x), mixture_of(p, name), sample_weight=torch.from_numpy(w),
        max_iter=8, tol=0, reg_covar=1e-4, chunk_size=chunk_size,
    )  # fmt: skip
    expected, history = numpy_em(x, w, p, name, 8, 1e-4)
    np.testing.assert_allclose(fit.mixture.weights, expected["weights"], rtol=1e-9)
    np.testing.assert_allclose(fit.mixture.means, expected["means"], rtol=1e-9)
    ours = matrices(fit.mixture.covariances.numpy(), name, 3, 3)
    theirs = matrices(expected["covariances"], name, 3, 3)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fit.log_likelihood, history, rtol=1e-10)


@pytest.mark.parametrize("name", [*STRUCTURES, *FACTORED])
def test_whole_weights_are_points_repeated_so_often(name, way):
    x, counts = torch.from_numpy(blobs(80, 4)), counted(80)
    start = starts_of(x, name)
    options = {"max_iter": 30, "tol": 1e-5, "reg_covar": 1e-3}
    weighted = gmm.fit_em(x, start, sample_weight=counts, **options)
    assert_same_fits(weighted, gmm.fit_em(repeated(x, counts), start, **options))
    plain = gmm.fit_em(x, start, **options)
    assert not torch.allclose(weighted.mixture.means, plain.mixture.means, rtol=1e-4)


@pytest.mark.parametrize("name", ["diag", "full", "factor"])
def test_data_sets_have_weights_of_their_own(name, way):
    sets = [torch.from_numpy(blobs(n, 3, seed=n)) for n in (40, 90)]
    counts = [counted(len(x)) for x in sets]
    parts = zip(*(starts_of(x, name).tensors() for x in sets), strict=True)
    start = gmm.Mixture(*(torch.stack(pair) for pair in parts), name)
    options = {"max_iter": 12, "tol": 0, "reg_covar": 1e-3, "chunk_size": 32}
    together = gmm.fit_em(sets, start, sample_weight=counts, **options)
    pairs = zip(sets, counts, strict=True)
    assert_same_fits(together, gmm.fit_em([repeated(*p) for p in pairs], start, **options))


def test_a_tensor_of_data_sets_takes_a_tensor_of_weights(way):
    x = torch.stack([torch.from_numpy(blobs(50, 2, seed=s)) for s in (0, 1)])
    weights = torch.stack([counted(50, seed=s) for s in (0, 1)])
    options = {"n_init": 2, "reg_covar": 1e-3}
    both = gmm.fit_many(x, 3, sample_weight=weights, generator=generator(), **options)
    alike = gmm.fit_many(list(x), 3, sample_weight=list(weights), generator=generator(), **options)
    assert_same_mixtures(both.mixture, alike.mixture)
    assert both.mixture.batch_shape == (2,)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_prior_sees_as_many_points_as_the_weights_add_up_to(name, way):
    x, counts = torch.from_numpy(blobs(60, 3)), counted(60)
    start = starts_of(x, name)
    prior = gmm.NormalInverseWishart(mean_precision=2.0, weight_concentration=3.0)
    options = {"max_iter": 15, "tol": 1e-6, "prior": prior}
    weighted = gmm.fit_em(x, start, sample_weight=counts, **options)
    assert_same_fits(weighted, gmm.fit_em(repeated(x, counts), start, **options))


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("name", ["diag", "full", "ppca"])
def test_a_weight_of_zero_is_a_point_left_out_exactly(name, init, way):
    x, counts = torch.from_numpy(blobs(70, 3)), counted(70)
    there = counts > 0
    options = {
        "n_init": 3, "start": gmm.Start(init), "covariance_type": name, "n_factors": 1,
        "reg_covar": 1e-3, "max_iter": 6,
    }  # fmt: skip
    weighted = gmm.fit_many(x, 3, sample_weight=counts, generator=generator(), **options)
    without = gmm.fit_many(
        x[there], 3, sample_weight=counts[there], generator=generator(), **options
    )
    for a, b in zip(weighted.mixture.tensors(), without.mixture.tensors(), strict=True):
        assert torch.equal(a, b)
    np.testing.assert_array_equal(weighted.log_likelihood, without.log_likelihood)


@pytest.mark.parametrize("init", INITS)
def test_weights_of_one_and_zero_choose_points_exactly(init, way):
    x, there = torch.from_numpy(blobs(70, 3)), counted(70) > 0
    options = {"n_init": 3, "start": gmm.Start(init), "reg_covar": 1e-3, "max_iter": 6}
    chosen = gmm.fit_many(x, 3, sample_weight=there, generator=generator(), **options)
    without = gmm.fit_many(x[there], 3, generator=generator(), **options)
    for a, b in zip(chosen.mixture.tensors(), without.mixture.tensors(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("init", INITS)
def test_equal_weights_lead_to_the_fit_without_weights(init, way):
    x = torch.from_numpy(blobs(70, 3))
    options = {"n_init": 3, "start": gmm.Start(init), "max_iter": 6, "reg_covar": 1e-3}
    for weight in (1.0, 0.25):
        w = torch.full((70,), weight)
        weighted = gmm.fit_many(x, 3, sample_weight=w, generator=generator(), **options)
        plain = gmm.fit_many(x, 3, generator=generator(), **options)
        assert_same_fits(weighted.restarts, plain.restarts)


def test_float32_of_many_features_is_weighted_too(way):
    x, counts = torch.from_numpy(blobs(200, 300)).float(), counted(200)
    start = starts_of(x, "diag").to(torch.float32)
    options = {"max_iter": 4, "tol": 0, "reg_covar": 1e-2}
    weighted = gmm.fit_em(x, start, sample_weight=counts, **options)
    again = gmm.fit_em(repeated(x, counts), start, **options)
    assert_same_mixtures(weighted.mixture, again.mixture, 1e-4)
    torch.testing.assert_close(weighted.log_likelihood, again.log_likelihood, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", [*STRUCTURES, *FACTORED])
@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_starts_are_those_of_repeated_points(name, init, way):
    """Both draw the same: moments, and places along the summed distances, are as if repeated."""
    x, counts = torch.from_numpy(blobs(60, 3)), counted(60)
    options = {"covariance_type": name, "n_factors": 1, "n_init": 4, "reg_covar": 1e-3}
    weighted = gmm.make_start(
        x, 3, gmm.Start(init), sample_weight=counts, generator=generator(), **options
    )
    again = gmm.make_start(
        repeated(x, counts), 3, gmm.Start(init), generator=generator(), **options
    )
    assert_same_mixtures(weighted, again)


def test_random_points_are_drawn_by_weight_without_replacement():
    x = torch.arange(4, dtype=torch.float64).unsqueeze(-1)
    w = torch.tensor([1.0, 2.0, 3.0, 4.0])
    points, _ = open_points(x, sample_weight=w)
    drawn = (random_points(points, 40_000, 2, generator()) + points.center).squeeze(-1)[0]
    i, j = drawn.round().long().unbind(-1)
    assert (i != j).all()
    share = torch.zeros(4, 4, dtype=torch.float64)
    share.index_put_((i, j), torch.tensor(1 / 40_000, dtype=torch.float64), accumulate=True)
    # The first by weight, the second by weight among the others.
    expected = w[:, None] / 10 * w / (10 - w[:, None]) * (1 - torch.eye(4))
    np.testing.assert_allclose(share, expected, atol=4 * np.sqrt(0.2 * 0.8 / 40_000))


def test_random_points_of_data_sets_of_other_sizes_are_points_of_each():
    x = [torch.arange(n, dtype=torch.float64).unsqueeze(-1) + 100 * n for n in (3, 9)]
    points, _ = open_points(x, sample_weight=[torch.arange(1, len(a) + 1) for a in x])
    drawn = random_points(points, 50, 3, generator()) + points.center[:, None, None]
    for rows, a in zip(drawn, x, strict=True):
        assert torch.cdist(rows.flatten(0, 1), a).amin(-1).max() < 1e-9


def test_k_means_plus_plus_draws_in_proportion_to_weight_times_squared_distance():
    x = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    points = Points([x], weights=[torch.tensor([5.0, 18.0, 1.0], dtype=torch.float64)])
    drawn = (spread_points(points, 40_000, 2, generator()) + points.center)[0, :, :, 0].round()
    first = [(drawn[:, 0] == v).double().mean() for v in (0, 1, 3)]
    np.testing.assert_allclose(first, [5 / 24, 18 / 24, 1 / 24], atol=0.01)
    from_zero = drawn[drawn[:, 0] == 0, 1]
    share = (from_zero == 3).double().mean()
    np.testing.assert_allclose(share, 9 / (18 + 9), atol=4 * np.sqrt(0.25 / len(from_zero)))


@pytest.mark.parametrize("chunk_size", [None, 11])
def test_weighted_k_means_is_that_of_scikit_learn(chunk_size, way):
    x, w = blobs(100, 3, K=4), np.random.default_rng(2).exponential(size=100)
    fit = gmm.kmeans(
        torch.from_numpy(x), 4, init=torch.from_numpy(x[:4]), tol=0, chunk_size=chunk_size,
        sample_weight=torch.from_numpy(w),
    )  # fmt: skip
    expected = KMeans(4, init=x[:4], n_init=1, tol=0, algorithm="lloyd").fit(x, sample_weight=w)
    np.testing.assert_allclose(fit.centers, expected.cluster_centers_)
    np.testing.assert_allclose(fit.inertia, expected.inertia_)
    plain = KMeans(4, init=x[:4], n_init=1, tol=0, algorithm="lloyd").fit(x)
    assert not np.allclose(plain.cluster_centers_, expected.cluster_centers_, rtol=1e-3)


def test_k_means_of_whole_weights_is_that_of_repeated_points(way):
    sets = [torch.from_numpy(blobs(n, 2, seed=n)) for n in (40, 70)]
    counts = [counted(len(x)) for x in sets]
    again = [repeated(x, c) for x, c in zip(sets, counts, strict=True)]
    options = {"n_init": 3, "tol": 1e-3}
    weighted = gmm.kmeans(sets, 3, sample_weight=counts, generator=generator(), **options)
    expected = gmm.kmeans(again, 3, generator=generator(), **options)
    torch.testing.assert_close(weighted.centers, expected.centers, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(weighted.inertias, expected.inertias, rtol=1e-10, atol=1e-10)
    assert torch.equal(weighted.n_iter, expected.n_iter)


def test_components_may_be_as_many_as_points_that_count():
    x = torch.from_numpy(blobs(5, 2))
    weights = torch.tensor([9.0, 9, 9, 0, 0])
    gmm.make_start(x, 3, sample_weight=weights)
    with pytest.raises(ValueError, match=r"at most the number of points \(3\), got 4"):
        gmm.make_start(x, 4, sample_weight=weights)
