import warnings

import numpy as np
import pytest
import torch
from mixtures_at_random import mixture_batch, with_unused_slot
from oracles import STRUCTURES, blobs, scipy_log_joint
from scipy.special import logsumexp
from sklearn import mixture as sklearn_mixture
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

import gmm

BATCHES = [(), (1,), (2, 3)]


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("batch", BATCHES)
def test_a_distribution_of_pytorch_has_the_same_densities(name, batch):
    mixture, x = mixture_batch(name, batch, D=3), torch.from_numpy(blobs(20, 3))
    distribution = with_unused_slot(mixture, torch.nan).to_distribution()
    assert distribution.batch_shape == batch
    assert distribution.event_shape == (3,)
    found = distribution.log_prob(x.view(20, *(1 for _ in batch), 3)).movedim(0, -1)
    torch.testing.assert_close(found, mixture.score_samples(x))


@pytest.mark.parametrize("name", STRUCTURES)
def test_samples_of_the_distribution_have_the_moments_of_the_mixture(name):
    mixture = mixture_batch(name, D=2)
    torch.manual_seed(0)
    x = with_unused_slot(mixture, torch.nan).to_distribution().sample((100_000,))
    error = mixture.covariance.diagonal().sqrt() / 100_000**0.5
    assert ((x.mean(0) - mixture.mean).abs() < 5 * error).all()
    np.testing.assert_allclose(np.cov(x.T), mixture.covariance, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("batch", BATCHES)
def test_a_mixture_comes_back_from_the_distribution_as_diag_or_full(name, batch):
    mixture, x = with_unused_slot(mixture_batch(name, batch, D=3)), torch.from_numpy(blobs(20, 3))
    again = gmm.Mixture.from_distribution(mixture.to_distribution())
    expected = {"diag": "diag", "spherical": "diag", "tied": "full", "full": "full"}[name]
    assert again.covariance_type == expected
    assert torch.equal(again.n_components, mixture.n_components)
    torch.testing.assert_close(again.weights, mixture.weights)
    torch.testing.assert_close(again.means[..., :3, :], mixture.means[..., :3, :])
    torch.testing.assert_close(again.score_samples(x), mixture.score_samples(x))


def test_float32_stays_float32():
    mixture = mixture_batch("full", D=3).to(torch.float32)
    distribution = mixture.to_distribution()
    assert distribution.sample().dtype == torch.float32
    again = gmm.Mixture.from_distribution(distribution)
    assert {t.dtype for t in again.tensors()} == {torch.float32}


def test_a_probability_of_zero_is_no_component_and_a_small_one_is():
    of_each = Independent(Normal(torch.tensor([[0.0], [9], [5]]), torch.ones(3, 1)), 1)
    choice = Categorical(torch.tensor([0.25, 0.0, 0.75]))
    mixture = gmm.Mixture.from_distribution(MixtureSameFamily(choice, of_each))
    torch.testing.assert_close(mixture.weights, torch.tensor([0.25, 0, 0.75]))
    assert mixture.n_components == 2
    logits = torch.tensor([-300.0, -0.0, -torch.inf])
    mixture = gmm.Mixture.from_distribution(MixtureSameFamily(Categorical(logits=logits), of_each))
    assert torch.equal(mixture.log_weights, logits)


def test_weights_that_a_batch_shares_are_repeated():
    of_each = MultivariateNormal(torch.zeros(4, 2, 3), torch.eye(3))
    distribution = MixtureSameFamily(Categorical(torch.tensor([0.5, 0.5])), of_each)
    mixture = gmm.Mixture.from_distribution(distribution)
    assert mixture.batch_shape == (4,)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixture.score_samples(x), distribution.log_prob(x.unsqueeze(1)).mT)


@pytest.mark.parametrize(
    "distribution",
    [
        Normal(0.0, 1.0),
        MixtureSameFamily(Categorical(torch.ones(2)), Normal(torch.zeros(2), 1.0)),
        MixtureSameFamily(
            Categorical(torch.ones(2)), Independent(Normal(torch.zeros(2, 3, 4), 1.0), 2)
        ),
        MixtureSameFamily(Categorical(torch.ones(2)), Categorical(torch.ones(2, 3))),
    ],
)
def test_other_distributions_are_refused(distribution):
    with pytest.raises(ValueError, match="distribution must be a MixtureSameFamily of"):
        gmm.Mixture.from_distribution(distribution)


@pytest.mark.parametrize("name", STRUCTURES)
def test_scikit_learn_s_model_predicts_and_scores_as_the_mixture(name):
    mixture, x = mixture_batch(name, D=3), blobs(30, 3)
    model = with_unused_slot(mixture, torch.nan).to_sklearn()
    points = torch.from_numpy(x)
    assert type(model) is sklearn_mixture.GaussianMixture
    np.testing.assert_array_equal(model.predict(x), mixture.predict(points))
    np.testing.assert_allclose(model.predict_proba(x), mixture.predict_proba(points), atol=1e-12)
    np.testing.assert_allclose(model.score_samples(x), mixture.score_samples(points))
    np.testing.assert_allclose(model.bic(x), mixture.bic(points))


@pytest.mark.parametrize("name", STRUCTURES)
def test_scikit_learn_s_model_has_all_that_a_fitted_one_has(name):
    x = blobs(60, 3)
    fitted = sklearn_mixture.GaussianMixture(2, covariance_type=name, random_state=0).fit(x)
    model = gmm.Mixture.from_sklearn(fitted).to_sklearn()
    assert {k for k in vars(fitted) if k.endswith("_")} <= set(vars(model))
    for attribute in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        expected = getattr(fitted, attribute)
        np.testing.assert_allclose(getattr(model, attribute), expected, atol=1e-10)
    assert model.n_features_in_ == 3
    model.set_params(random_state=0)
    for one, other in zip(
        model.sample(20), fitted.set_params(random_state=0).sample(20), strict=True
    ):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("name", STRUCTURES)
def test_scikit_learn_goes_on_from_the_mixture(name):
    x = blobs(100, 3)
    mixture = mixture_batch(name, D=3)
    model = mixture.to_sklearn().set_params(warm_start=True, max_iter=1, tol=0, reg_covar=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x)
    expected = gmm.fit_em(torch.from_numpy(x), mixture, max_iter=1, tol=0).mixture
    np.testing.assert_allclose(model.means_, expected.means)
    np.testing.assert_allclose(model.covariances_, expected.covariances, atol=1e-9)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_model_of_scikit_learn_keeps_its_densities(name):
    x = blobs(60, 3)
    model = sklearn_mixture.GaussianMixture(3, covariance_type=name, random_state=0).fit(x)
    mixture = gmm.Mixture.from_sklearn(model)
    assert mixture.covariance_type == name
    np.testing.assert_allclose(mixture.score_samples(torch.from_numpy(x)), model.score_samples(x))
    mixture.means.zero_()
    assert (model.means_ != 0).all()


def test_a_model_of_scikit_learn_that_keeps_tensors_is_taken_too():
    mixture = mixture_batch("full")
    model = mixture.to_sklearn()
    model.weights_, model.means_ = mixture.weights, mixture.means
    again = gmm.Mixture.from_sklearn(model)
    torch.testing.assert_close(again.means, mixture.means, rtol=0, atol=0)
    again.means.zero_()
    assert (model.means_ != 0).all()


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_bayesian_model_gives_its_expected_parameters(name):
    x = blobs(60, 2)
    model = sklearn_mixture.BayesianGaussianMixture(
        n_components=2, covariance_type=name, random_state=0, tol=1e-2
    ).fit(x)
    p = {"weights": model.weights_, "means": model.means_, "covariances": model.covariances_}
    found = gmm.Mixture.from_sklearn(model).score_samples(torch.from_numpy(x))
    np.testing.assert_allclose(found, logsumexp(scipy_log_joint(x, p, name), -1))


def test_what_is_no_fitted_mixture_of_scikit_learn_is_refused():
    with pytest.raises(NotFittedError):
        gmm.Mixture.from_sklearn(sklearn_mixture.GaussianMixture())
    with pytest.raises(ValueError, match=r"model must be a GaussianMixture .* got builtins\.dict"):
        gmm.Mixture.from_sklearn({})
    with pytest.raises(ValueError, match=r"to_sklearn must be asked of one mixture, got \(2,\)"):
        mixture_batch("diag", (2,)).to_sklearn()
    mixture = mixture_batch("full")
    mixture.covariances[1] = 0
    with pytest.raises(ValueError, match="covariance of component 1 is not positive definite"):
        mixture.to_sklearn()
    with pytest.raises(ValueError, match="covariance of component 1 is not positive definite"):
        mixture.to_distribution()
