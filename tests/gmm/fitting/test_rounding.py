import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs

import gmm

STARTS = ["random", "kmeans", "k-means++", "random_from_data"]
TOO_LARGE = [("float32", 1e20, 3), ("float64", 1e160, 3), ("float64", 1e307, 3)]
RULE = r"^X must have squares about its mean that add up to less than \S+ \(float\d\d\), got \S+; "


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize(("dtype", "scale", "D"), [*TOO_LARGE, ("float32", 1e20, 300)])
@pytest.mark.parametrize("reg_covar", [0, 1e-6])
def test_points_whose_squares_overflow_are_told(name, init, dtype, scale, D, reg_covar):
    x = (blobs(40, D, K=2) * scale).astype(dtype)
    options = {"covariance_type": name, "init_params": init, "random_state": 0}
    with pytest.raises(ValueError, match=RULE + "scale X") as error:
        gmm.GaussianMixture(2, reg_covar=reg_covar, **options).fit(x)
    assert ("float64" in str(error.value).split(";")[1]) == (dtype == "float32")


@pytest.mark.parametrize(("dtype", "scale", "D"), TOO_LARGE)
def test_every_door_tells_that_squares_overflow(dtype, scale, D):
    x = (blobs(40, D, K=2) * scale).astype(dtype)
    with pytest.raises(ValueError, match=RULE):
        gmm.fit_many(torch.from_numpy(x), [1, 2])
    with pytest.raises(ValueError, match=RULE):
        gmm.MixtureClassifier().fit(x, np.arange(40) % 2)
    with pytest.raises(ValueError, match=RULE):
        gmm.GaussianMixture(2).fit([x[:15], x[15:]])
    model = gmm.GaussianMixture(2, warm_start=True, random_state=0).fit(x / scale)
    with pytest.raises(ValueError, match=RULE):
        model.fit(x)


def test_the_remedy_for_overflowing_squares_helps():
    x = blobs(40, 3, K=2)
    options = {"reg_covar": 0, "random_state": 0}
    expected = gmm.GaussianMixture(2, **options).fit(x).covariances_
    large = (x * 1e20).astype(np.float32)
    found = gmm.GaussianMixture(2, dtype="float64", **options).fit(large).covariances_
    np.testing.assert_allclose(found, expected * 1e40, rtol=1e-5)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_spread_of_1e_minus_30_changes_nothing_but_the_unit(name):
    x = blobs(60, 3, K=2)
    options = {"covariance_type": name, "reg_covar": 0, "random_state": 0}
    usual = gmm.GaussianMixture(2, **options).fit(x)
    small = gmm.GaussianMixture(2, **options).fit(x * 1e-30)
    np.testing.assert_allclose(small.means_, usual.means_ * 1e-30, rtol=1e-9)
    scale = np.abs(usual.covariances_).max() * 1e-60
    np.testing.assert_allclose(small.covariances_, usual.covariances_ * 1e-60, atol=1e-9 * scale)
    shift = 3 * 30 * np.log(10)
    assert small.lower_bound_ == pytest.approx(usual.lower_bound_ + shift, rel=1e-10)


@pytest.mark.parametrize("name", STRUCTURES)
def test_variances_that_float32_rounds_to_nothing_are_told(name):
    x = (blobs(60, 3, K=2) * 1e-30).astype(np.float32)
    options = {"covariance_type": name, "random_state": 0}
    rule = r"^X must have a variance of at least 1\.2e-38 \(float32\) in every component, got 0"
    with pytest.raises(ValueError, match=rule):
        gmm.GaussianMixture(2, reg_covar=0, **options).fit(x)
    model = gmm.GaussianMixture(2, **options).fit(x)  # reg_covar is all there is then
    for values in (model.means_, model.covariances_, model.precisions_, model.predict_proba(x)):
        assert np.isfinite(values).all()


@pytest.mark.parametrize("name", ["full", "tied"])
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("left", [1e-6, 1e-4])
def test_a_covariance_that_float32_leaves_without_an_inverse_is_told(name, seed, left):
    first, other = np.random.default_rng(seed).normal(size=(2, 100))
    # The second feature has left^2 of its variance for itself: float32 keeps nothing of 1e-8.
    x = np.stack([first, first + other * left], 1)
    options = {"covariance_type": name, "reg_covar": 0, "random_state": 0}
    with pytest.raises(ValueError, match=r"^covariances must have an inverse in float32, got"):
        gmm.GaussianMixture(dtype="float32", **options).fit(x)
    model = gmm.GaussianMixture(**options).fit(x)
    matrix = model.covariances_.reshape(2, 2)
    expected = np.cov(x.T, bias=True)
    np.testing.assert_allclose(matrix, expected, rtol=1e-9)
    np.testing.assert_allclose(model.precisions_.reshape(2, 2) @ matrix, np.eye(2), atol=1e-2)


def test_correlations_that_float32_can_hold_are_no_mistake():
    first, other = np.random.default_rng(0).normal(size=(2, 400))
    x = np.stack([first, first + other * 1e-2], 1)
    exact = gmm.GaussianMixture(reg_covar=0).fit(x)
    rounded = gmm.GaussianMixture(reg_covar=0, dtype="float32").fit(x)
    np.testing.assert_allclose(rounded.precisions_, exact.precisions_, rtol=1e-2)


def test_an_unused_slot_is_not_out_of_range():
    fits = gmm.fit_many(torch.from_numpy(blobs(60, 2)), [1, 4], reg_covar=1e-6)
    assert (fits.mixture.n_components == torch.tensor([1, 4])).all()
