"""Missing values by the estimators, with scikit-learn's conventions."""

import numpy as np
import pytest
import torch
from holes import blobs_with_holes, observed_log_joint
from sklearn.utils import get_tags

import gmm


def fitted(x, **kwargs):
    return gmm.GaussianMixture(
        3, missing=True, covariance_type="full", random_state=0, max_iter=500, **kwargs
    ).fit(x)


def test_a_mixture_is_fitted_and_asked_where_values_are_missing():
    x = blobs_with_holes(150, 3)
    model = fitted(x)
    p = {"weights": model.weights_, "means": model.means_, "covariances": model.covariances_}
    joint = observed_log_joint(x, p, "full")
    evidence = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(model.score_samples(x), evidence, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.score(x), evidence.mean())
    np.testing.assert_array_equal(model.predict(x), joint.argmax(1))
    resp = np.exp(joint - evidence[:, None])
    np.testing.assert_allclose(model.predict_proba(x), resp, atol=1e-9)
    penalty = model._n_parameters() * np.log(150)
    np.testing.assert_allclose(model.bic(x), penalty - 2 * evidence.sum())


def test_imputed_points_are_arrays_for_arrays_and_tensors_for_tensors():
    x = blobs_with_holes(80, 3)
    model = fitted(x)
    filled = model.impute(x)
    np.testing.assert_array_equal(filled[~np.isnan(x)], x[~np.isnan(x)])
    assert np.isfinite(filled).all()
    assert torch.equal(model.impute(torch.from_numpy(x)), torch.from_numpy(filled))
    expected = model.mixture_.impute(torch.from_numpy(x))
    np.testing.assert_array_equal(filled, expected)


def test_imputing_needs_no_missing_values_in_the_fit():
    x = blobs_with_holes(80, 3)
    model = gmm.GaussianMixture(2, random_state=0, max_iter=500).fit(np.nan_to_num(x, nan=5.0))
    assert np.isfinite(model.impute(x)).all()
    with pytest.raises(ValueError, match="NaN"):
        model.predict(x)


def test_a_second_fit_goes_on_where_the_first_ended():
    x = blobs_with_holes(80, 3)
    model = fitted(x, warm_start=True, tol=1e-5)
    before = model.lower_bound_
    model.fit(x)
    assert model.lower_bounds_[0] >= before - 1e-12
    assert model.n_iter_ < 5


def test_a_classifier_tells_classes_apart_by_the_features_that_are_known():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    x = rng.normal(size=(400, 4)) + 3 * y[:, None]
    x[rng.random(x.shape) < 0.4] = np.nan
    x = x[~np.isnan(x).all(1)]
    y = (np.nanmean(x, 1) > 1.5).astype(int)
    model = gmm.MixtureClassifier(1, missing=True, covariance_type="full").fit(x, y)
    assert (model.predict(x) == y).mean() > 0.95
    empty = np.full((1, 4), np.nan)
    np.testing.assert_allclose(model.predict_proba(empty)[0], np.bincount(y) / len(y))
    with pytest.raises(ValueError, match="NaN"):
        gmm.MixtureClassifier(1).fit(x, y)


@pytest.mark.parametrize("kind", [gmm.GaussianMixture, gmm.MixtureClassifier])
def test_scikit_learn_is_told_whether_nan_is_taken(kind):
    assert not get_tags(kind()).input_tags.allow_nan
    assert get_tags(kind(missing=True)).input_tags.allow_nan
