import numpy as np
import pytest
import torch
from oracles import blobs, matrices
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import gmm
from gmm import kernels

SHAREABLE = ("diag", "spherical", "tied")


@pytest.fixture(params=["kernels", "blocks"], autouse=True)
def way(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(kernels, "DEVICES", ())


def data_sets(sizes=(40, 25, 90), D=3):
    return [torch.from_numpy(blobs(n, D, seed=n) * (g + 1)) for g, n in enumerate(sizes)]


def fit(sets, n_components, name, **options):
    options = {"generator": torch.Generator().manual_seed(0), "reg_covar": 0.0, **options}
    return gmm.fit_many(sets, n_components, covariance_type=name, share_covariance=True, **options)


def em_by_hand(sets, start, name, max_iter):
    """Return weights and means of every data set, the one matrix, and the log-likelihoods."""
    D = sets[0].shape[-1]
    of_sets = [(np.exp(m.log_weights.numpy()), m.means.numpy()) for m in start]
    sigma = matrices(start[0].covariances.numpy(), name, len(of_sets[0][0]), D)[0]
    history = []
    for _ in range(max_iter):
        total, log_likelihood, updated = np.zeros((D, D)), 0.0, []
        for x, (weights, means) in zip(sets, of_sets, strict=True):
            joint = np.stack([multivariate_normal(mu, sigma).logpdf(x) for mu in means], -1)
            joint += np.log(weights)
            evidence = logsumexp(joint, -1)
            log_likelihood += evidence.sum()
            resp = np.exp(joint - evidence[:, None])
            counts = resp.sum(0)
            means = resp.T @ x / counts[:, None]
            for k, mu in enumerate(means):
                total += (resp[:, k, None] * (x - mu)).T @ (x - mu)
            updated.append((counts / len(x), means))
        n, of_sets = sum(map(len, sets)), updated
        history.append(log_likelihood / n)
        sigma = total / n
        if name != "tied":
            variances = np.diag(sigma)
            sigma = np.diag(variances if name == "diag" else np.full(D, variances.mean()))
    return of_sets, sigma, history


@pytest.mark.parametrize("name", SHAREABLE)
def test_em_takes_the_steps_of_a_plain_loop(name):
    sets = data_sets()
    fits = fit(sets, [1, 3], name, tol=0, max_iter=7)
    for i, K in enumerate((1, 3)):
        starts = [fits.starts[g, i, 0] for g in range(3)]
        of_sets, sigma, history = em_by_hand([x.numpy() for x in sets], starts, name, 7)
        for g, (weights, means) in enumerate(of_sets):
            mixture = fits.mixture[g, i]
            np.testing.assert_allclose(mixture.log_weights.exp(), weights, atol=1e-9)
            np.testing.assert_allclose(mixture.means, means, atol=1e-8)
            found = matrices(mixture.covariances.numpy(), name, K, 3)
            np.testing.assert_allclose(found, np.broadcast_to(sigma, found.shape), atol=1e-8)
            np.testing.assert_allclose(fits.log_likelihood[g, i], history, atol=1e-9)


@pytest.mark.parametrize("name", SHAREABLE)
def test_the_pooled_log_likelihood_never_falls(name):
    fits = fit(data_sets(), [2, 4], name, n_init=3, tol=0, max_iter=40)
    steps = fits.restarts.log_likelihood.diff(dim=-1)
    assert (steps > -1e-10).all()
    assert (steps[..., 0] > 1e-4).all()


def test_mixtures_of_all_data_sets_end_together_at_the_restart_that_is_best_for_all():
    fits = fit(data_sets(), [2, 3], "tied", n_init=4, tol=1e-4, start=gmm.Start("random"))
    n_iter = fits.restarts.n_iter
    assert (n_iter == n_iter[0]).all()
    assert n_iter.unique().numel() > 2  # while others go on
    assert (fits.best == fits.best[0]).all()
    assert fits.converged.all()
    for i in range(2):
        final = fits.restarts.final_log_likelihood[0, i]
        assert final[fits.best[0, i]] == final.max() > final.min()


def test_a_tied_covariance_of_all_is_at_most_as_likely_as_one_of_each():
    sets = data_sets()
    shared = fit(sets, 1, "tied")
    own = gmm.fit_many(sets, 1, covariance_type="tied")
    sizes = torch.tensor([float(len(x)) for x in sets]).double()
    apart = (own.best_fit.final_log_likelihood * sizes).sum() / sizes.sum()
    assert shared.best_fit.final_log_likelihood[0] < apart


def test_a_shared_covariance_without_a_density_is_told_of_all_data_sets():
    sets = data_sets()
    for x in sets:
        x[:, 1] = 2.0
    assert fit(sets, 2, "tied").singular.all()
    assert not fit(sets, 2, "tied", reg_covar=1e-3).singular.any()
    sets[0][:, 1] = torch.arange(len(sets[0]))  # varies in one of them
    assert not fit(sets, 2, "diag").singular.any()


@pytest.mark.parametrize("name", ["diag", "tied"])
def test_floors_are_under_the_shared_covariance(name):
    sets = data_sets()
    without = fit(sets, 1, name).mixture.covariances
    raised = fit(sets, 1, name, reg_covar=0.5).mixture.covariances
    added = torch.eye(3) if name == "tied" else torch.ones(3)
    torch.testing.assert_close(raised, without + 0.5 * added, rtol=1e-9, atol=1e-9)
    high = fit(sets, 1, name, min_variance=1e4).mixture.covariances
    torch.testing.assert_close(high, (1e4 * added).double().expand_as(high))


class Store:
    """Keeps the state of EM, and recalls it."""

    def __init__(self, kept=None):
        self.kept = kept

    def recall(self):
        return self.kept

    def keep(self, state):
        self.kept = {k: v.clone() for k, v in state().items()}


def test_a_fit_that_was_cut_off_goes_on_where_it_was():
    sets, store = data_sets(), Store()
    fit(sets, [2, 3], "tied", tol=0, max_iter=4, memory=store)
    resumed = fit(sets, [2, 3], "tied", tol=0, max_iter=9, memory=store)
    whole = fit(sets, [2, 3], "tied", tol=0, max_iter=9)
    torch.testing.assert_close(resumed.mixture.means, whole.mixture.means, rtol=0, atol=1e-12)
    torch.testing.assert_close(resumed.log_likelihood, whole.log_likelihood, rtol=0, atol=1e-12)


def test_what_cannot_be_shared_is_told():
    with pytest.raises(ValueError, match=r"one of diag, spherical, tied .* got 'full'; tied is"):
        fit(data_sets(), 2, "full")
    with pytest.raises(ValueError, match="prior must be None where a covariance is shared"):
        fit(data_sets(), 2, "diag", prior=gmm.NormalInverseWishart())
