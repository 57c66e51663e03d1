import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gmm
from gmm import kernels

# Where a given number of steps is compared.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=["kernels", "blocks"])
def way(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(kernels, "DEVICES", ())
    return request.param


def counted(n, seed=0):
    return np.random.default_rng(seed).integers(0, 4, n)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def assert_same(a, b, names=("weights_", "means_", "covariances_", "lower_bounds_")):
    for name in names:
        close(getattr(a, name), getattr(b, name))
    assert a.n_iter_ == b.n_iter_


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_weighted_mixture_is_that_of_repeated_points(name, warm_start, way):
    x, counts = blobs(90, 3), counted(90)
    options = {"covariance_type": name, "init_params": "k-means++", "random_state": 0}
    options |= {"n_init": 2, "warm_start": warm_start, "tol": 1e-5, "max_iter": 4}
    again = np.repeat(x, counts, 0)
    ours = gmm.GaussianMixture(3, **options).fit(x, sample_weight=counts)
    theirs = gmm.GaussianMixture(3, **options).fit(again)
    if warm_start:
        ours.fit(x, sample_weight=counts)
        theirs.fit(again)
    assert_same(ours, theirs)
    close(ours.score(x, sample_weight=counts), theirs.score(again))
    close(ours.bic(x, counts), theirs.bic(again))
    close(ours.aic(x, counts), theirs.aic(again))


@pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_a_weighted_posterior_is_that_of_repeated_points(name, kind, way):
    """Also what the prior takes from the points, and the lower bound."""
    x, counts = blobs(90, 3), counted(90)
    options = {"covariance_type": name, "init_params": "k-means++", "random_state": 0}
    options |= {"weight_concentration_prior_type": kind, "tol": 1e-4, "max_iter": 20}
    ours = gmm.BayesianGaussianMixture(4, **options).fit(x, sample_weight=counts)
    theirs = gmm.BayesianGaussianMixture(4, **options).fit(np.repeat(x, counts, 0))
    own = ("weight_concentration_", "mean_precision_", "degrees_of_freedom_", "mean_prior_")
    assert_same(ours, theirs, (*own, "covariance_prior_", "means_", "covariances_", "weights_"))
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)


def test_every_form_of_weights_is_the_same():
    pd = pytest.importorskip("pandas")
    x, counts = blobs(50, 2), counted(50)
    expected = gmm.GaussianMixture(2, random_state=0).fit(x, sample_weight=counts)
    tensor = torch.from_numpy(counts)
    forms = [counts.astype(np.float32), counts.tolist(), pd.Series(counts), tensor, tensor.float()]
    for weights in forms:
        model = gmm.GaussianMixture(2, random_state=0).fit(x, sample_weight=weights)
        np.testing.assert_array_equal(model.means_, expected.means_)
    of_tensors = gmm.GaussianMixture(2, random_state=0)
    of_tensors.fit(torch.from_numpy(x), sample_weight=counts)
    np.testing.assert_array_equal(of_tensors.means_, expected.means_)
    score = of_tensors.score(torch.from_numpy(x), sample_weight=counts)
    close(score, expected.score(x, sample_weight=counts))


def test_fit_predict_answers_for_all_points_also_those_of_weight_zero():
    x, counts = blobs(50, 2), counted(50)
    labels = gmm.GaussianMixture(2, random_state=0).fit_predict(x, sample_weight=counts)
    model = gmm.GaussianMixture(2, random_state=0).fit(x, sample_weight=counts)
    np.testing.assert_array_equal(labels, model.predict(x))
    assert len(labels) == 50


def test_fewer_than_two_points_of_weight_are_told():
    weights = np.array([0, 0, 1.0, 0])
    with pytest.raises(ValueError, match="sample_weight must be above zero for at least 2 points"):
        gmm.GaussianMixture().fit(np.eye(4), sample_weight=weights)


def test_one_weighted_component_per_class_is_weighted_naive_bayes():
    x = np.concatenate([blobs(n, 3, seed=n) + i for i, n in enumerate((30, 50, 80))])
    y, w = np.repeat(["a", "b", "c"], (30, 50, 80)), counted(160) * 0.7
    ours = gmm.MixtureClassifier(1, reg_covar=0).fit(x, y, sample_weight=w)
    theirs = GaussianNB(var_smoothing=0).fit(x, y, sample_weight=w)
    np.testing.assert_allclose(np.exp(ours.class_log_prior_), theirs.class_prior_)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-10)
    np.testing.assert_allclose(ours.mixtures_.means[:, 0], theirs.theta_)
    right = ours.predict(x) == y
    close(ours.score(x, y, sample_weight=w), np.average(right, weights=w))
    assert not np.isclose(ours.score(x, y), ours.score(x, y, sample_weight=w))


def test_a_class_without_weight_is_not_there():
    x, y = blobs(60, 2), np.arange(60) % 3
    weights = (y != 1) * 1.5
    model = gmm.MixtureClassifier(1).fit(x, y, sample_weight=weights)
    assert model.classes_.tolist() == [0, 2]
    with pytest.raises(ValueError, match="class 1 must have training points, got none"):
        gmm.MixtureClassifier(1, classes=[0, 1]).fit(x, y, sample_weight=weights)


def test_several_numbers_of_components_per_class_are_weighted_alike():
    x, counts = blobs(120, 2), counted(120)
    y = np.arange(120) % 2
    options = {"init_params": "k-means++", "random_state": 0, "max_iter": 5}
    ours = gmm.MixtureClassifier([1, 3], **options).fit(x, y, sample_weight=counts)
    again = np.repeat(x, counts, 0), np.repeat(y, counts)
    theirs = gmm.MixtureClassifier([1, 3], **options).fit(*again)
    close(ours.mixtures_.means, theirs.mixtures_.means)
    close(ours.class_log_prior_, theirs.class_log_prior_)


def test_weights_of_a_tensor_s_classes_are_taken():
    x, y = torch.from_numpy(blobs(60, 2)), torch.arange(60) % 2
    weights = torch.rand(60, dtype=torch.float64)
    model = gmm.MixtureClassifier(1).fit(x, y, sample_weight=weights)
    right = (model.predict(x) == y).double()
    close(model.score(x, y, sample_weight=weights), (right @ weights / weights.sum()).item())


def test_a_pipeline_passes_weights_on():
    x, counts = blobs(60, 2), counted(60)
    pipeline = make_pipeline(StandardScaler(), gmm.GaussianMixture(1))
    pipeline.fit(x, gaussianmixture__sample_weight=counts)
    scaled = (x - x.mean(0)) / x.std(0)
    close(pipeline[-1].means_[0], np.average(scaled, axis=0, weights=counts))
