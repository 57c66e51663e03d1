import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from oracles import STRUCTURES, blobs, matrices, mixture_of, parameters
from scipy.stats import dirichlet, invgamma, invwishart, multivariate_normal
from torch.distributions import MultivariateNormal

import gmm

D, K = 3, 2
MATRIX = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, -0.2], [0.1, -0.2, 1.0]])
SCALES = {"diag": np.diag(MATRIX).copy(), "spherical": 1.7, "tied": MATRIX, "full": MATRIX}


def prior_of(name: str, **changes) -> gmm.NormalInverseWishart:
    given = {
        "mean": [4.0, 5.0, 6.0],
        "mean_precision": 0.7,
        "degrees_of_freedom": 6.0,
        "covariance": SCALES[name],
        "weight_concentration": 2.5,
    }
    return gmm.NormalInverseWishart(**{**given, **changes})


def log_prior_by_scipy(mixture: gmm.Mixture, name: str) -> float:
    """Return the log-density of `prior_of(name)`."""
    weights, means, covariances = (t.numpy() for t in (mixture.weights, *mixture.tensors()[1:]))
    n_components = len(weights)
    total = dirichlet(np.full(n_components, 2.5)).logpdf(weights / weights.sum())
    for mean, matrix in zip(
        means, matrices(covariances, name, n_components, means.shape[-1]), strict=True
    ):
        total += multivariate_normal([4, 5, 6], matrix / 0.7).logpdf(mean)
    if name == "full":
        return total + sum(invwishart(6, MATRIX).logpdf(c) for c in covariances)
    if name == "tied":
        return total + invwishart(6, MATRIX).logpdf(covariances)
    return total + invgamma(3, scale=np.asarray(SCALES[name]) / 2).logpdf(covariances).sum()


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("n_components", [1, 2])
def test_the_bound_of_a_point_is_likelihood_times_prior(name, n_components):
    x = blobs(50, D)
    start = mixture_of(parameters(x, n_components, name), name)
    fit = gmm.fit_em(torch.from_numpy(x), start, max_iter=1, prior=prior_of(name))
    log_likelihood = float(start.score_samples(torch.from_numpy(x)).sum())
    expected = (log_likelihood + log_prior_by_scipy(start, name)) / len(x)
    np.testing.assert_allclose(fit.log_likelihood, [expected])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(STRUCTURES), st.booleans())
def test_em_never_lowers_the_log_posterior(seed, name, from_points):
    x = torch.from_numpy(blobs(40, D, seed=seed))
    start = mixture_of(parameters(x.numpy(), K, name, seed), name)
    prior = gmm.NormalInverseWishart() if from_points else prior_of(name)
    fit = gmm.fit_em(x, start, max_iter=20, tol=0, prior=prior)
    assert (fit.log_likelihood.diff() > -1e-10).all()


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_gradient_of_the_log_posterior_is_zero_at_the_end(name):
    x = torch.from_numpy(blobs(80, D))
    start = mixture_of(parameters(x.numpy(), K, name), name)
    fit = gmm.fit_em(x, start, max_iter=100, tol=0, prior=prior_of(name))
    at_start, at_end = (gradient(m, x, name) for m in (start, fit.mixture))
    assert at_start > 1
    assert at_end < 1e-6


def gradient(mixture: gmm.Mixture, x: torch.Tensor, name: str) -> float:
    """Return the largest slope of the log-posterior, with all of it written out again."""
    logits, means = mixture.log_weights.clone(), mixture.means.clone()
    covariances = mixture.covariances.clone()
    leaves = [t.requires_grad_() for t in (logits, means, covariances)]
    log_weights, eye = logits.log_softmax(-1), torch.eye(D, dtype=torch.float64)
    full = {
        "full": lambda c: c,
        "tied": lambda c: c.expand(K, D, D),
        "diag": torch.diag_embed,
        "spherical": lambda c: c[:, None, None] * eye,
    }[name](covariances)
    joint = MultivariateNormal(means, full).log_prob(x.unsqueeze(1)) + log_weights
    expected = torch.tensor([4.0, 5.0, 6.0], dtype=torch.float64)
    posterior = joint.logsumexp(-1).sum() + 1.5 * log_weights.sum()
    posterior = posterior + MultivariateNormal(expected, full / 0.7).log_prob(means).sum()
    scale = torch.as_tensor(SCALES[name], dtype=torch.float64)
    if name in ("diag", "spherical"):
        spread = -4 * covariances.log() - scale / covariances / 2
    else:
        trace = (scale * covariances.inverse()).sum((-2, -1))
        spread = -0.5 * ((6 + D + 1) * covariances.logdet() + trace)
    posterior = posterior + spread.sum()
    return max(float(g.abs().max()) for g in torch.autograd.grad(posterior, leaves))


@pytest.mark.parametrize("name", STRUCTURES)
def test_what_is_left_open_is_taken_from_the_points(name):
    x = blobs(60, D)
    start = mixture_of(parameters(x, K, name), name)
    sample = np.cov(x.T) / K ** (2 / D)
    covariance = {"diag": np.diag(sample), "spherical": np.trace(sample) / D}.get(name, sample)
    told = gmm.NormalInverseWishart(mean=x.mean(0), degrees_of_freedom=D + 2, covariance=covariance)
    points = torch.from_numpy(x)
    fits = [
        gmm.fit_em(points, start, max_iter=9, tol=0, prior=prior)
        for prior in (gmm.NormalInverseWishart(), told)
    ]
    torch.testing.assert_close(fits[0].log_likelihood, fits[1].log_likelihood)
    torch.testing.assert_close(fits[0].mixture.covariances, fits[1].mixture.covariances)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_batch_of_sets_and_sizes_equals_separate_fits(name):
    sets = [torch.from_numpy(blobs(n, D, seed=n)) for n in (40, 70)]
    prior = gmm.NormalInverseWishart(weight_concentration=1.5)
    many = gmm.fit_many(
        sets,
        [1, 3],
        covariance_type=name,
        prior=prior,
        max_iter=200,
        generator=torch.Generator().manual_seed(0),
    )
    for g, x in enumerate(sets):
        for i in range(2):
            start = many.starts[g, i, 0]
            alone = gmm.fit_em(x, start, max_iter=200, prior=prior)
            n = int(alone.n_iter)
            torch.testing.assert_close(many.log_likelihood[g, i, :n], alone.log_likelihood[:n])
            for a, b in zip(many.mixture[g, i].tensors(), alone.mixture.tensors(), strict=True):
                torch.testing.assert_close(a, b)


def test_points_weigh_less_than_a_prior_of_many():
    x = torch.from_numpy(blobs(50, D))
    strong = {"mean_precision": 1e9, "degrees_of_freedom": 1e9, "covariance": [1e9, 2e9, 3e9]}
    prior = prior_of("diag", **strong)
    fit = gmm.fit_many(x, 1, prior=prior)
    torch.testing.assert_close(fit.mixture.means[0], torch.tensor([4.0, 5, 6]).double())
    spread = torch.tensor([1.0, 2, 3]).double()
    torch.testing.assert_close(fit.mixture.covariances[0], spread, rtol=1e-6, atol=0)


def test_a_weak_prior_changes_little():
    x = torch.from_numpy(blobs(200, D))
    start = mixture_of(parameters(x.numpy(), K, "full"), "full")
    weak = gmm.NormalInverseWishart(
        mean_precision=1e-9, degrees_of_freedom=D - 1 + 1e-9, covariance=1e-9 * np.eye(D)
    )
    plain = gmm.fit_em(x, start, max_iter=1).mixture
    fit = gmm.fit_em(x, start, max_iter=1, prior=weak).mixture
    torch.testing.assert_close(fit.means, plain.means)
    n = 200 * plain.weights[:, None, None]
    # The mode of an inverse Wishart density is below its scale matrix over N.
    torch.testing.assert_close(fit.covariances * (n + 2 * D + 1) / n, plain.covariances)


@pytest.mark.parametrize("name", STRUCTURES)
def test_collapsed_points_keep_a_covariance(name):
    x = torch.from_numpy(blobs(60, 2))
    x[:20] = 30.0
    options = {"covariance_type": name, "generator": torch.Generator().manual_seed(0)}
    fit = gmm.fit_many(x, 4, n_init=5, prior=gmm.NormalInverseWishart(), max_iter=500, **options)
    assert not fit.restarts.singular.any()
    if name != "tied":
        options["generator"] = torch.Generator().manual_seed(0)
        assert gmm.fit_many(x, 4, n_init=5, **options).restarts.singular.any()


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_component_without_points_goes_to_the_mode_of_the_prior(name):
    x = torch.from_numpy(blobs(60, D))
    p = parameters(x.numpy(), 3, name)
    p["means"][2] = 1e4
    fit = gmm.fit_em(x, mixture_of(p, name), max_iter=1, prior=prior_of(name))
    torch.testing.assert_close(fit.mixture.means[2], torch.tensor([4.0, 5, 6]).double())
    # Of all three: N + 3 (2.5 - 1) points, of which it has 2.5 - 1.
    torch.testing.assert_close(float(fit.mixture.weights[2]), 1.5 / (60 + 4.5))
    power = {"full": 6 + D + 2, "diag": 6 + 3, "spherical": 6 + D + 2}
    if name in power:
        mode = torch.as_tensor(SCALES[name]).double() / power[name]
        torch.testing.assert_close(fit.mixture.covariances[2], mode)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_estimators_take_a_prior(name):
    x = blobs(60, D)
    prior = prior_of(name)
    model = gmm.GaussianMixture(
        2, covariance_type=name, prior=prior, random_state=0, reg_covar=0, max_iter=400, tol=1e-9
    ).fit(x)
    assert gradient(model.mixture_, torch.from_numpy(x), name) < 0.01
    classifier = gmm.MixtureClassifier(
        2, covariance_type=name, prior=prior, random_state=0, reg_covar=0, max_iter=400, tol=1e-9
    ).fit(np.concatenate([x, x + 1]), np.repeat([0, 1], 60))
    mixture = classifier.mixtures_[0]
    assert gradient(mixture, torch.from_numpy(x), name) < 0.01


class Batches:
    def __init__(self, x):
        self.x = x

    def __iter__(self):
        return iter(self.x.split(17))


@pytest.mark.parametrize("name", STRUCTURES)
def test_batches_give_the_fit_of_the_whole(name):
    x = torch.from_numpy(blobs(60, D))
    start = mixture_of(parameters(x.numpy(), K, name), name)
    prior = gmm.NormalInverseWishart()
    whole = gmm.fit_em(x, start, max_iter=7, tol=0, prior=prior)
    parts = gmm.fit_em(Batches(x), start, max_iter=7, tol=0, prior=prior)
    torch.testing.assert_close(parts.log_likelihood, whole.log_likelihood)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("diag", {"mean_precision": 0}, "mean_precision must be above 0, got 0"),
        ("diag", {"weight_concentration": 0.5}, "weight_concentration must be at least 1, got 0.5"),
        ("diag", {"degrees_of_freedom": 0}, "degrees_of_freedom must be above 0, got 0"),
        ("full", {"degrees_of_freedom": 2}, "degrees_of_freedom must be above 2, got 2"),
        ("diag", {"mean": [1.0]}, r"mean must have shape \(3,\), got \(1,\)"),
        ("diag", {"mean": [1.0, math.nan, 2.0]}, "mean must be finite"),
        ("tied", {"covariance": np.ones(3)}, r"covariance must have shape \(3, 3\), got \(3,\)"),
        ("full", {"covariance": np.ones((3, 3))}, "covariance must be symmetric, positive-def"),
        ("spherical", {"covariance": -1.0}, "covariance must be positive"),
    ],
)
def test_attributes_that_break_their_rule_are_named(name, changes, message):
    x = torch.from_numpy(blobs(40, D))
    with pytest.raises(ValueError, match=message):
        gmm.fit_many(x, 2, covariance_type=name, prior=prior_of(name, **changes))


def test_points_without_a_covariance_of_their_own_are_told():
    x = torch.from_numpy(blobs(40, D))
    x[:, 1] = 2.0
    for name in ("diag", "full"):
        with pytest.raises(ValueError, match="got that of the points, which is not; give another"):
            gmm.fit_many(x, 2, covariance_type=name, prior=gmm.NormalInverseWishart())
