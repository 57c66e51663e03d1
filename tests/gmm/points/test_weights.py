import numpy as np
import pytest
import torch
from oracles import blobs

import gmm
from gmm.points import open_points


@pytest.mark.parametrize("chunk_size", [None, 7])
def test_sums_over_weighted_points_are_those_of_numpy(chunk_size):
    sets = [torch.from_numpy(blobs(n, 3, seed=n)) for n in (20, 33)]
    weights = [torch.rand(len(x), dtype=torch.float64) * 3 for x in sets]
    points, shape = open_points(sets, sample_weight=weights, chunk_size=chunk_size)
    assert shape == (2,)
    mean, variance = points.moments
    for g, (x, w) in enumerate(zip(sets, weights, strict=True)):
        x, w = x.numpy(), w.numpy()
        middle = np.average(x, axis=0, weights=w)
        np.testing.assert_allclose(points.sizes[g], w.sum())
        np.testing.assert_allclose(points.center[g], middle)
        np.testing.assert_allclose(mean[g], 0, atol=1e-12)
        expected = np.cov(x.T, aweights=w, ddof=0)
        np.testing.assert_allclose(variance[g], np.diag(expected))
        np.testing.assert_allclose(points.scatter[g], expected * w.sum(), atol=1e-9)
    assert points.n_points.tolist() == [20, 33]


def test_points_of_weight_zero_are_not_there_whatever_they_are():
    x = torch.rand(2, 5, 3)
    x[0, 1], x[1, 3] = torch.nan, torch.inf
    weights = torch.ones(2, 5)
    weights[0, 1] = weights[1, 3] = 0
    points, shape = open_points(x, sample_weight=weights)
    assert shape == (2,)
    assert points.n_points.tolist() == [4, 4]
    torch.testing.assert_close(points.center[0], x[0, [0, 2, 3, 4]].double().mean(0))


def test_weights_of_rows_are_padded_with_zeros():
    x = [torch.rand(2, 1), torch.rand(3, 1)]
    points, _ = open_points(x, sample_weight=[torch.tensor([1, 2]), torch.tensor([3.0, 4, 5])])
    assert points.row_weights.tolist() == [[1, 2, 0], [3, 4, 5]]


class Batches:
    def __iter__(self):
        yield torch.rand(4, 2)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1, -1, 1], "sample_weight must be finite and not negative, got -1.0 for point 2"),
        ([1, np.nan, 1, 1], "sample_weight must be finite and not negative, got nan for point 1"),
        ([1, 1, 1, np.inf], "sample_weight must be finite and not negative, got inf for point 3"),
        ([0, 0, 0, 0], "sample_weight must have a finite sum above zero, got 0.0"),
        ([1e308] * 4, "sample_weight must have a finite sum above zero, got inf"),
        ([1, 1, 1], r"sample_weight must have shape \(4,\), a weight per point, got \(3,\)"),
        ([[1], [1], [1], [1]], r"must have shape \(4,\), a weight per point, got \(4, 1\)"),
    ],
)
def test_weights_that_break_a_rule_are_told_at_every_door(weights, message):
    x = torch.rand(4, 2, dtype=torch.float64)
    w = torch.tensor(weights, dtype=torch.float64)
    start = gmm.make_start(x, 1)[0]
    fitted = gmm.GaussianMixture(1).fit(x)
    classifier = gmm.MixtureClassifier(1).fit(x, [0, 0, 1, 1])
    doors = [
        lambda: gmm.fit_em(x, start, sample_weight=w),
        lambda: gmm.fit_many(x, 1, sample_weight=w),
        lambda: gmm.make_start(x, 1, sample_weight=w),
        lambda: gmm.kmeans(x, 1, sample_weight=w),
        lambda: start.score(x, sample_weight=w),
        lambda: start.bic(x, w),
        lambda: start.aic(x, w),
        lambda: gmm.GaussianMixture(1).fit(x.numpy(), sample_weight=np.array(weights)),
        lambda: gmm.BayesianGaussianMixture(1).fit(x, sample_weight=weights),
        lambda: classifier.fit(x, [0, 0, 1, 1], sample_weight=weights),
        lambda: classifier.score(x, [0, 0, 1, 1], sample_weight=weights),
        lambda: fitted.score(x, sample_weight=weights),
        lambda: fitted.bic(x, weights),
        lambda: fitted.aic(x, weights),
    ]
    for door in doors:
        with pytest.raises(ValueError, match=message):
            door()


def test_the_data_set_whose_weights_break_a_rule_is_named():
    sets = [torch.rand(4, 2), torch.rand(3, 2)]
    with pytest.raises(ValueError, match="sample_weight of data set 1 must be finite"):
        gmm.fit_many(sets, 1, sample_weight=[torch.ones(4), -torch.ones(3)])
    with pytest.raises(ValueError, match="must be a list of 2 tensors, one per data set, got 1"):
        gmm.fit_many(sets, 1, sample_weight=[torch.ones(4)])
    with pytest.raises(ValueError, match="must be a list of 2 tensors, one per data set, got T"):
        gmm.fit_many(sets, 1, sample_weight=torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"got -1.0 for point \(1, 2\)"):
        gmm.fit_many(torch.rand(2, 3, 2), 1, sample_weight=torch.tensor([[1, 1, 1], [1, 1, -1.0]]))


@pytest.mark.parametrize("data", [Batches(), gmm.Distributed(torch.rand(4, 2))])
def test_batches_and_points_of_several_processes_take_no_weights(data):
    doors = [
        lambda: gmm.fit_many(data, 1, sample_weight=torch.ones(4)),
        lambda: gmm.kmeans(data, 1, sample_weight=torch.ones(4)),
    ]
    if isinstance(data, Batches):
        doors.append(lambda: gmm.GaussianMixture(1).fit(data, sample_weight=np.ones(4)))
    for door in doors:
        with pytest.raises(ValueError, match="sample_weight must be None for points in batches"):
            door()
