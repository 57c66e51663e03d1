import subprocess
import sys

import numpy as np
import pytest
import sklearn.mixture
import torch
from oracles import STRUCTURES, blobs, parameters
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import gmm


@parametrize_with_checks([gmm.GaussianMixture()])
def test_scikit_learn_s_checks_pass(estimator, check):
    check(estimator)


def test_defaults_are_those_of_scikit_learn():
    theirs = sklearn.mixture.GaussianMixture().get_params()
    ours = gmm.GaussianMixture().get_params()
    assert {name: ours[name] for name in theirs} == theirs


def test_the_library_works_without_scikit_learn():
    code = "import sys; sys.modules['sklearn'] = None; import gmm; gmm.fit_many; gmm.kmeans"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("steps", [1, 10])
def test_a_fit_from_given_parameters_equals_scikit_learn_s(name, steps):
    x = blobs(150, 3)
    p = parameters(x, 3, name)
    covariances = p["covariances"]
    precisions = 1 / covariances if name in ("diag", "spherical") else np.linalg.inv(covariances)
    options = {
        "n_components": 3,
        "covariance_type": name,
        "weights_init": p["weights"],
        "means_init": p["means"],
        "precisions_init": precisions,
        "max_iter": steps,
        "tol": 0,
    }
    with pytest.warns(ConvergenceWarning):
        theirs = sklearn.mixture.GaussianMixture(**options).fit(x)
    with pytest.warns(ConvergenceWarning):
        ours = gmm.GaussianMixture(**options).fit(x)
    names = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
    for attribute in (*names, "lower_bound_", "lower_bounds_", "n_iter_", "converged_"):
        expected = np.asarray(getattr(theirs, attribute))
        scale = 1e-8 * np.abs(expected).max()
        np.testing.assert_allclose(getattr(ours, attribute), expected, rtol=1e-8, atol=scale)
    for method in ("predict", "predict_proba", "score_samples", "score", "bic", "aic"):
        expected = getattr(theirs, method)(x)
        np.testing.assert_allclose(getattr(ours, method)(x), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_give_tensors_and_arrays_arrays(dtype):
    x = torch.from_numpy(blobs(80, 3)).to(dtype)
    model = gmm.GaussianMixture(2, random_state=0)
    from_array = model.fit(x.numpy()).predict_proba(x.numpy())
    assert isinstance(from_array, np.ndarray)
    assert isinstance(model.means_, np.ndarray)
    from_tensor = model.fit(x).predict_proba(x)
    assert from_tensor.dtype == model.means_.dtype == dtype
    np.testing.assert_allclose(from_tensor, from_array, rtol=1e-5)


class Batches:
    def __init__(self, x, size):
        self.x, self.size = x, size

    def __iter__(self):
        return (self.x[i : i + self.size] for i in range(0, len(self.x), self.size))


def test_batches_give_the_fit_of_the_whole():
    x = blobs(100, 3)
    whole = gmm.GaussianMixture(3, random_state=0).fit(x)
    for batches in (Batches(x, 30), list(Batches(x, 41))):
        parts = gmm.GaussianMixture(3, random_state=0).fit(batches)
        np.testing.assert_allclose(parts.means_, whole.means_)
    with pytest.raises(ValueError, match="readable more than once"):
        gmm.GaussianMixture(3).fit(iter(Batches(x, 30)))


def test_the_best_of_the_restarts_is_kept():
    x = blobs(150, 2, K=6)
    model = gmm.GaussianMixture(6, n_init=8, init_params="random", random_state=0).fit(x)
    final = [row[np.isfinite(row)][-1] for row in model.log_likelihoods_]
    assert len(final) == 8
    assert model.lower_bound_ == max(final) > min(final)
    assert model.lower_bounds_[-1] == model.lower_bound_
    assert len(model.lower_bounds_) == model.n_iter_


def test_warm_start_goes_on_where_the_last_fit_ended():
    x = blobs(100, 2)
    once = gmm.GaussianMixture(3, max_iter=6, tol=1e-12, random_state=0)
    with pytest.warns(ConvergenceWarning):
        once.fit(x)
    twice = gmm.GaussianMixture(3, max_iter=3, tol=1e-12, random_state=0, warm_start=True)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning):
            twice.fit(x)
    np.testing.assert_allclose(twice.means_, once.means_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # Until the last.
def test_convergence_is_seen_one_warm_step_at_a_time():
    x = blobs(100, 2)
    model = gmm.GaussianMixture(3, max_iter=1, tol=1e-3, random_state=0, warm_start=True)
    assert any(model.fit(x).converged_ for _ in range(100))


def test_it_drops_into_a_pipeline_and_a_grid_search():
    x = blobs(120, 2)
    model = gmm.GaussianMixture(covariance_type="diag", random_state=0)
    pipeline = make_pipeline(StandardScaler(), model)
    search = GridSearchCV(pipeline, {"gaussianmixture__n_components": np.array([1, 3])}, cv=3)
    assert search.fit(x).best_params_ == {"gaussianmixture__n_components": 3}


def test_samples_follow_random_state():
    model = gmm.GaussianMixture(2, random_state=3).fit(blobs(60, 2))
    x, labels = model.sample(50)
    again, _ = model.sample(50)
    np.testing.assert_array_equal(x, again)
    assert x.shape == (50, 2)
    assert set(labels) <= {0, 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 64}, r"n_components must be at most the number of points \(40\), got 64"),
        ({"n_components": 0}, r"n_components' parameter .* in the range \[1, inf\). Got 0 instead"),
        ({"covariance_type": "round"}, "covariance_type' .* must be a str among .* Got 'round'"),
        ({"init_params": "far"}, "init_params' .* must be a str among .* Got 'far'"),
        ({"n_components": 2, "weights_init": [1.0, 0.0]}, "weights_init must be above 0"),
        (
            {"precisions_init": [[1.0, -2.0]], "covariance_type": "diag"},
            "precisions_init must be positive for component 0",
        ),
        ({"precisions_init": [-np.eye(2)]}, "precisions_init must be symmetric, positive-definite"),
        ({"tol": -1}, r"tol' parameter .* in the range \[0.0, inf\). Got -1 instead"),
        ({"min_variance": -1}, r"min_variance' parameter .* in the range \[0.0, inf\). Got -1"),
        ({"n_init": 0}, r"n_init' parameter .* in the range \[1, inf\). Got 0 instead"),
        ({"dtype": "int8"}, "dtype' parameter .* must be .*'float32'.* Got 'int8' instead"),
    ],
)
def test_parameters_that_break_their_rule_are_named_in_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        gmm.GaussianMixture(**options).fit(blobs(40, 2))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_points_that_break_their_rule_are_named(kind):
    x = blobs(40, 2)
    model = gmm.GaussianMixture(2, random_state=0).fit(kind(x))
    with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2"):
        model.predict(kind(x[:, :1]))
    x[7, 1] = np.nan
    for method in (model.fit, model.predict):
        with pytest.raises(ValueError, match="NaN in row 7"):
            method(kind(x))


def test_a_lost_covariance_is_named_with_its_remedy():
    x = np.repeat(np.array([[0.0, 1.0], [5.0, 5.0]]), 10, axis=0)
    model = gmm.GaussianMixture(2, reg_covar=0, random_state=0)
    with pytest.raises(ValueError, match=r"component \d is not positive definite; raise reg_covar"):
        model.fit(x)
    assert model.set_params(reg_covar=1e-6).fit(x).converged_


def test_nothing_is_predicted_before_a_fit():
    with pytest.raises(NotFittedError):
        gmm.GaussianMixture().predict(blobs(5, 2))


def test_names_of_features_are_those_of_the_last_fit():
    pd = pytest.importorskip("pandas")
    x = blobs(40, 2)
    model = gmm.GaussianMixture(random_state=0).fit(pd.DataFrame(x, columns=["low", "high"]))
    assert model.feature_names_in_.tolist() == ["low", "high"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(pd.DataFrame(x, columns=["high", "low"]))
    assert not hasattr(model.fit(torch.from_numpy(x)), "feature_names_in_")


def test_information_criteria_take_lists():
    x = blobs(40, 2)
    model = gmm.GaussianMixture(2, random_state=0).fit(x)
    assert model.bic(x.tolist()) == model.bic(x)
    assert model.aic(x.tolist()) == model.aic(x)


def test_no_restart_is_worse_for_those_beside_it():
    for seed in range(15):
        x, options = blobs(50, 2, K=2, seed=seed), {"max_iter": 5, "tol": 0, "random_state": 0}
        with pytest.warns(ConvergenceWarning):
            alone = gmm.GaussianMixture(2, **options).fit(x)
        with pytest.warns(ConvergenceWarning):
            beside = gmm.GaussianMixture(2, n_init=10, **options).fit(x)
        np.testing.assert_array_equal(beside.log_likelihoods_[0], alone.log_likelihoods_[0])


@pytest.mark.parametrize("name", ["factor", "ppca"])
def test_factors_are_fitted_kept_and_used(name):
    x = blobs(120, 5)
    model = gmm.GaussianMixture(2, covariance_type=name, n_factors=2, random_state=0).fit(x)
    assert model.covariances_.shape == (2, 5, 3)
    assert model.precisions_ is model.precisions_cholesky_ is None
    assert model.mixture_.n_factors == 2
    np.testing.assert_allclose(model.score(x), model.mixture_.score(torch.from_numpy(x)))
    free = 2 * (5 * 2 - 1 + (5 if name == "factor" else 1)) + 2 * 5 + 1
    np.testing.assert_allclose(model.bic(x), -2 * model.score(x) * 120 + free * np.log(120))
    assert model.sample(7)[0].shape == (7, 5)
    with pytest.raises(ValueError, match=r"n_factors must be .* number of features \(5\), got 10"):
        gmm.GaussianMixture(2, covariance_type=name).fit(x)
