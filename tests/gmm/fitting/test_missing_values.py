"""EM where values are missing: its maximum, its way there, and where it begins."""

import numpy as np
import pytest
import torch
from holes import blobs_with_holes
from hypothesis import given, settings, strategies as st
from mixtures_at_random import mixture_batch
from oracles import STRUCTURES, blobs
from torch.distributions import MultivariateNormal

import gmm
from gmm import kernels
from gmm.fitting import em_state
from gmm.starting.starts import MEANS


@pytest.fixture(params=["kernels", "blocks"])
def way(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(kernels, "DEVICES", ())
    return request.param


@pytest.mark.parametrize("name", STRUCTURES)
def test_em_never_lowers_the_log_likelihood_of_what_is_observed(name):
    x = torch.from_numpy(blobs_with_holes(150, 4))
    start = gmm.make_start(x, 3, covariance_type=name, n_init=3, missing=True)
    fit = gmm.fit_em(x, start, max_iter=60, tol=0, missing=True)
    assert (fit.log_likelihood.diff() > -1e-11).all()
    assert (fit.log_likelihood[:, -1] > fit.log_likelihood[:, 0] + 0.05).all()
    after = fit.mixture.score(x, missing=True)
    assert (after >= fit.log_likelihood[:, -1] - 1e-11).all()


def _log_likelihood(x, log_weights, means, matrices):
    """Return the sum of log p(x_observed), by PyTorch's own densities of the observed features."""
    total = torch.zeros((), dtype=torch.float64)
    for row in x:
        o = ~row.isnan()
        each = log_weights.log_softmax(-1)
        if o.any():
            of_observed = MultivariateNormal(means[:, o], matrices[:, o][:, :, o])
            each = each + of_observed.log_prob(row[o])
        total = total + each.logsumexp(-1)
    return total


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_observed_log_likelihood_has_no_slope_where_em_ends(name):
    x = torch.from_numpy(blobs_with_holes(40, 3, share=0.2, K=2))
    x[7] = torch.nan
    start = gmm.make_start(
        x, 2, covariance_type=name, missing=True, generator=torch.Generator().manual_seed(1)
    )[0]
    ends = [gmm.fit_em(x, start, max_iter=n, tol=0, missing=True).mixture for n in (2, 250)]
    slopes = []
    for mixture in ends:
        parts = [t.clone().requires_grad_() for t in mixture.tensors()]
        matrices = {
            "full": lambda c: c,
            "tied": lambda c: c.expand(2, 3, 3),
            "diag": torch.diag_embed,
            "spherical": lambda c: c[:, None, None] * torch.eye(3, dtype=torch.float64),
        }[name](parts[2])
        slope = torch.autograd.grad(_log_likelihood(x, parts[0], parts[1], matrices), parts)
        slopes.append(max(float(s.abs().max()) for s in slope))
    assert slopes[0] > 0.1
    assert slopes[1] < 1e-5


@pytest.mark.parametrize("name", STRUCTURES)
def test_without_missing_values_the_fit_is_that_of_complete_points(name):
    x = torch.from_numpy(blobs(100, 3))
    fits = [
        gmm.fit_many(
            x, 3, n_init=2, covariance_type=name, missing=m, max_iter=20, tol=0,
            generator=torch.Generator().manual_seed(0),
        )
        for m in (False, True)
    ]  # fmt: skip
    for a, b in zip(*(f.mixture.tensors() for f in fits), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_point_that_misses_all_moves_no_maximum(name):
    x = torch.from_numpy(blobs(80, 3))
    end = gmm.fit_em(x, mixture_batch(name, D=3), max_iter=5000, tol=0).mixture
    hole = torch.full((1, 3), torch.nan, dtype=torch.float64)
    fit = gmm.fit_em(torch.cat([x, hole]), end, max_iter=2, tol=0, missing=True)
    torch.testing.assert_close(fit.log_likelihood[0] * 81, end.score(x) * 80, rtol=1e-9, atol=0)
    for a, b in zip(end.tensors(), fit.mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", STRUCTURES)
def test_parameters_are_found_where_a_third_is_missing_completely_at_random(name):
    true = _distinct(name)
    generator = torch.Generator().manual_seed(3)
    x, _ = true.sample(12000, generator)
    x[torch.rand(x.shape, generator=generator) < 1 / 3] = torch.nan
    fits = gmm.fit_many(
        x, 2, n_init=3, covariance_type=name, missing=True, max_iter=300, tol=1e-8,
        generator=generator,
    )  # fmt: skip
    order = fits.mixture.means[:, 0].argsort()
    # Five standard errors of a mean or variance from about 3000 observed values of a component.
    bound = 5 * 1.5 * (2 / 3000) ** 0.5
    torch.testing.assert_close(fits.mixture.means[order], true.means, rtol=0, atol=bound)
    found = fits.mixture.covariances
    found = found if name == "tied" else found[order]
    torch.testing.assert_close(found, true.covariances, rtol=0, atol=2 * bound)
    torch.testing.assert_close(fits.mixture.weights[order], true.weights, rtol=0, atol=0.05)


def _distinct(name: str) -> gmm.Mixture:
    """Return two components whose features are correlated, unlike those of the mean filled in."""
    means = torch.tensor([[-3.0, 0.0, 1.0], [3.0, 1.0, -1.0]]).double()
    matrix = torch.tensor([[1.0, 0.6, -0.3], [0.6, 1.5, 0.2], [-0.3, 0.2, 0.8]]).double()
    covariances = {
        "full": torch.stack([matrix, matrix.flip(0, 1)]),
        "tied": matrix,
        "diag": torch.tensor([[1.0, 1.5, 0.8], [0.5, 1.0, 1.2]]).double(),
        "spherical": torch.tensor([1.0, 1.4]).double(),
    }[name]
    return gmm.Mixture(torch.tensor([0.4, 0.6]).double().log(), means, covariances, name)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_batch_of_fits_equals_fits_of_their_own(name, way):
    data = [torch.from_numpy(blobs_with_holes(n, 3, seed=n)) for n in (50, 31, 44)]
    start = gmm.make_start(data, [2, 3], covariance_type=name, n_init=2, missing=True)
    together = gmm.fit_em(data, start, max_iter=8, tol=0, missing=True)
    for g, x in enumerate(data):
        for i in range(2):
            for r in range(2):
                alone = gmm.fit_em(x, start[g, i, r], max_iter=8, tol=0, missing=True)
                one = together.mixture[g, i, r]
                for a, b in zip(one.tensors(), alone.mixture.tensors(), strict=True):
                    torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_fit_from_batches_equals_one_in_memory(name):
    x = torch.from_numpy(blobs_with_holes(90, 3))
    start = mixture_batch(name, (2,), D=3)
    within = gmm.fit_em(x, start, max_iter=5, missing=True)
    streamed = gmm.fit_em(_Batches(x), start, max_iter=5, missing=True)
    for a, b in zip(within.mixture.tensors(), streamed.mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


class _Batches:
    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def __iter__(self):
        return iter(self.x.split(20))


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("init", sorted(MEANS))
def test_starts_have_densities_though_a_cluster_has_no_value_of_a_feature(name, init, way):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    x[:, 0] += torch.tensor([-10.0, 10.0]).repeat_interleave(30)
    x[30:, 1] = torch.nan
    start = gmm.make_start(
        x, 2, gmm.Start(init), covariance_type=name, n_init=4, missing=True, generator=generator
    )
    fit = gmm.fit_em(x, start, max_iter=5, tol=0, missing=True)
    assert not fit.singular.any()
    assert fit.log_likelihood.isfinite().all()


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_start_has_the_moments_of_points_filled_by_means_and_variances(name, way):
    x = blobs_with_holes(70, 3)
    start = gmm.make_start(torch.from_numpy(x), 1, covariance_type=name, missing=True)[0]
    filled = np.where(np.isnan(x), np.nanmean(x, 0), x)
    lost = np.isnan(x).mean(0) * np.nanvar(x, 0)
    matrix = np.cov(filled.T, bias=True) + np.diag(lost)
    expected = {
        "full": matrix[None],
        "tied": matrix,
        "diag": np.diag(matrix)[None],
        "spherical": np.diag(matrix).mean()[None],
    }[name]
    np.testing.assert_allclose(start.covariances, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", STRUCTURES)
def test_with_a_prior_em_climbs_to_the_posterior(name):
    x = torch.from_numpy(blobs_with_holes(60, 3))
    fits = gmm.fit_many(
        x, 4, n_init=3, covariance_type=name, prior=gmm.NormalInverseWishart(), max_iter=40, tol=0,
        missing=True,
    )  # fmt: skip
    assert not fits.restarts.singular.any()
    assert (fits.restarts.log_likelihood.diff() > -1e-11).all()


def test_compiled_steps_are_taken_for_complete_points_alone():
    x, start = torch.from_numpy(blobs(40, 3)), mixture_batch("diag", (1, 1), D=3)
    for holes in (False, True):
        if holes:
            x[4, 1] = torch.nan
        points, _ = gmm.points.open_points(x, missing=True)
        run = em_state.EMState(points, start, 0.0, 0.0, 1e-3)
        assert (run._compiled is None) == holes


def test_results_have_the_dtype_of_the_points():
    x = torch.from_numpy(blobs_with_holes(60, 3))
    start = mixture_batch("full", D=3)
    exact = gmm.fit_em(x, start, max_iter=5, missing=True).mixture
    single = gmm.fit_em(x.float(), start, max_iter=5, missing=True).mixture
    for a, b in zip(single.tensors(), exact.tensors(), strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["factor", "ppca"])
def test_other_structures_are_refused_before_anything_is_read(name):
    x = torch.from_numpy(blobs(20, 3))
    rule = r"covariance_type must be one of .*'full'.* where values may be missing, got '"
    with pytest.raises(ValueError, match=rule + name):
        gmm.fit_many(x, 2, covariance_type=name, n_factors=1, missing=True)
    start = gmm.make_start(x, 2, covariance_type=name, n_factors=1)[0]
    with pytest.raises(ValueError, match=rule + name):
        gmm.fit_em(x, start, missing=True)
    with pytest.raises(ValueError, match=rule + name):
        gmm.make_start(x, 2, covariance_type=name, n_factors=1, missing=True)


def test_nan_stays_an_error_unless_it_is_asked_for():
    x = torch.from_numpy(blobs_with_holes(20, 3))
    mixture = mixture_batch("diag", D=3)
    for call in (
        lambda: gmm.fit_many(x, 2),
        lambda: gmm.fit_em(x, mixture),
        lambda: gmm.make_start(x, 2),
        lambda: mixture.score_samples(x),
        lambda: mixture.predict(x),
    ):
        with pytest.raises(ValueError, match="X must be finite, got NaN"):
            call()


@given(st.integers(0, 1000), st.sampled_from(STRUCTURES))
@settings(max_examples=15, deadline=None)
def test_a_fit_follows_a_change_of_units(seed, name):
    x = torch.from_numpy(blobs_with_holes(40, 3, seed=seed))
    start = mixture_batch(name, D=3, seed=seed)
    moved = gmm.Mixture(start.log_weights, 3 * start.means - 2, 9 * start.covariances, name)
    one = gmm.fit_em(x, start, max_iter=4, missing=True).mixture
    other = gmm.fit_em(3 * x - 2, moved, max_iter=4, missing=True).mixture
    torch.testing.assert_close(other.means, 3 * one.means - 2, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(other.covariances, 9 * one.covariances, rtol=1e-6, atol=1e-7)
