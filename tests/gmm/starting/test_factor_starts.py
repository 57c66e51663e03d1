import numpy as np
import pytest
import torch
from oracles import blobs

import gmm

STARTS = ["random", "kmeans", "k-means++", "random_from_data"]
FACTORED = ("factor", "ppca")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def variances(mixture):
    return mixture.covariances[..., :-1].square().sum(-1) + mixture.covariances[..., -1]


def clouds():
    """Return two clouds far apart that are long in three directions each, and the clouds."""
    rng = np.random.default_rng(0)
    parts = []
    for n, place in ((60, 0.0), (90, 200.0)):
        axes, _ = np.linalg.qr(rng.normal(size=(30, 3)))
        scores = rng.normal(size=(n, 3)) * [9.0, 7.0, 5.0]
        parts.append(torch.from_numpy(place + scores @ axes.T + 0.5 * rng.normal(size=(n, 30))))
    return torch.cat(parts), parts


def cosines(loadings, points):
    """Return the cosines of the angles between loadings and leading principal directions."""
    _, _, rows = torch.linalg.svd(points - points.mean(0), full_matrices=False)
    basis, _ = torch.linalg.qr(loadings)
    return torch.linalg.svdvals(basis.mT @ rows[: loadings.shape[-1]].mT)


@pytest.mark.parametrize("name", FACTORED)
def test_factors_begin_at_leading_directions_of_the_nearest_points(name):
    x, parts = clouds()
    how = {"covariance_type": name, "n_factors": 3, "generator": generator()}
    start = gmm.make_start(x, 2, gmm.Start("k-means++"), **how)[0]
    order = start.means[:, 0].argsort()
    torch.testing.assert_close(start.weights[order], torch.tensor([0.4, 0.6]).double())
    for k, points in zip(order, parts, strict=True):
        assert cosines(start.covariances[k, :, :-1], points).min() > 0.99
        expected = points.var(0, correction=0)
        if name == "ppca":
            expected = expected.mean()
            assert (variances(start)[k].mean() - expected).abs() < 1e-6 * expected
        else:
            torch.testing.assert_close(variances(start)[k], expected)


@pytest.mark.parametrize("name", FACTORED)
@pytest.mark.parametrize("init", STARTS)
def test_with_rand_const_they_begin_at_twice_those_of_all_points(name, init):
    _, parts = clouds()
    start = gmm.make_start(
        parts[0],
        4,
        gmm.Start(init, rand_const=2.0),
        covariance_type=name,
        n_factors=3,
        n_init=2,
        generator=generator(),
    )
    total = variances(start).mean(-1)
    torch.testing.assert_close(total, 2 * parts[0].var(0, correction=0).mean().expand(2, 4))
    assert cosines(start.covariances[1, 2, :, :-1], parts[0]).min() > 0.99


class Batches:
    def __init__(self, x):
        self.parts = x.split(13)

    def __iter__(self):
        return iter(self.parts)


@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("rand_const", [None, 2.0])
def test_a_start_from_batches_equals_the_one_in_memory(init, rand_const):
    x = torch.from_numpy(blobs(60, 4))
    how = gmm.Start(init, rand_const=rand_const)
    options = {"covariance_type": "factor", "n_factors": 2, "n_init": 2}
    whole = gmm.make_start(x, [2, 4], how, generator=generator(), **options)
    parts = gmm.make_start(Batches(x), [2, 4], how, generator=generator(), **options)
    assert whole.covariances.shape == (2, 2, 4, 4, 3)
    for a, b in zip(parts.tensors(), whole.tensors(), strict=True):
        torch.testing.assert_close(a, b)


def test_clusters_of_fewer_points_than_factors_begin_with_a_density():
    x = torch.from_numpy(blobs(12, 20))
    start = gmm.make_start(x, 4, covariance_type="factor", n_factors=8, generator=generator())
    assert start.score_samples(x).isfinite().all()


def test_a_feature_that_does_not_vary_begins_with_little_noise():
    x = torch.from_numpy(blobs(60, 4))
    x[:, 1] = 3.0
    start = gmm.make_start(x, 2, covariance_type="factor", n_factors=2, generator=generator())
    assert ((start.covariances[0, :, 1, -1] > 0) & (start.covariances[0, :, 1, -1] < 1e-4)).all()


@pytest.mark.parametrize("name", FACTORED)
def test_the_floor_holds_for_the_noise(name):
    x = torch.from_numpy(blobs(60, 4))
    start = gmm.make_start(
        x, 3, covariance_type=name, n_factors=2, min_variance=50.0, generator=generator()
    )
    assert (start.covariances[..., -1] >= 50).all()


def test_a_fit_finds_the_factors_that_the_points_were_drawn_from():
    x, parts = clouds()
    fits = gmm.fit_many(
        x, 2, n_init=3, covariance_type="factor", n_factors=3, generator=generator()
    )
    assert fits.converged
    loadings, noise = fits.mixture.covariances[..., :-1], fits.mixture.covariances[..., -1]
    assert cosines(loadings[fits.mixture.means[:, 0].argmin()], parts[0]).min() > 0.99
    assert (noise.mean(-1) - 0.25).abs().max() < 0.03


def test_what_factors_do_not_allow_is_named():
    x = torch.from_numpy(blobs(60, 3))
    rule = r"n_factors must be a whole number from 0 to the number of features \(3\), got "
    for fit in (gmm.fit_many, gmm.make_start):
        for wrong in (4, -1):
            with pytest.raises(ValueError, match=rule + str(wrong)):
                fit(x, 2, covariance_type="factor", n_factors=wrong)
    given = gmm.Start(precisions_init=torch.ones(2, 3))
    with pytest.raises(
        ValueError, match="precisions_init must be None with covariance_type 'ppca'"
    ):
        gmm.make_start(x, 2, given, covariance_type="ppca", n_factors=1)
