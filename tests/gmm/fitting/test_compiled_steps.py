"""EM steps by compiled loops against the same steps in products of tensors."""

import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs

import gmm
from gmm import kernels


def fit(x, name, **options):
    start = gmm.make_start(
        x, [2, 4], gmm.Start("random_from_data"), covariance_type=name, n_init=3,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    return gmm.fit_em(x, start, **options)


def assert_equal(a, b, rtol=1e-9):
    assert torch.equal(a.n_iter, b.n_iter)
    assert torch.equal(a.converged, b.converged)
    assert torch.equal(a.singular, b.singular)
    assert torch.equal(a.empty, b.empty)
    torch.testing.assert_close(
        a.log_likelihood, b.log_likelihood, rtol=rtol, atol=0, equal_nan=True
    )
    for mine, theirs in zip(a.mixture.tensors(), b.mixture.tensors(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize(
    "options",
    [
        {"max_iter": 15, "tol": 0},
        {"max_iter": 60, "tol": 1e-3, "reg_covar": 1e-2},
        {"max_iter": 1, "min_variance": 0.0},
    ],
)
def test_they_are_the_steps_of_other_devices(name, options, monkeypatch):
    x = torch.from_numpy(np.stack([blobs(150, 3, seed=seed) for seed in (0, 1)]))
    compiled = fit(x, name, **options)
    monkeypatch.setattr(kernels, "DEVICES", ())
    assert_equal(compiled, fit(x, name, **options))


@pytest.mark.parametrize("name", ["diag", "spherical"])
def test_the_floor_under_variances_holds(name):
    x = torch.from_numpy(blobs(150, 3))
    low = fit(x, name, min_variance=0.7, reg_covar=0.1, max_iter=5).mixture
    used = low.log_weights > -torch.inf
    assert float(low.covariances[used].min()) == pytest.approx(0.7)


@pytest.mark.parametrize("name", STRUCTURES)
def test_what_breaks_down_is_told_alike(name, monkeypatch):
    x = torch.from_numpy(np.repeat(blobs(6, 3), 20, 0))  # six places for up to four components
    compiled = fit(x, name, max_iter=60, tol=0)
    monkeypatch.setattr(kernels, "DEVICES", ())
    others = fit(x, name, max_iter=60, tol=0)
    # which of two components on one place loses its density first hangs on rounding
    assert torch.equal(compiled.singular.any(-1), others.singular.any(-1))
    assert name == "tied" or bool(compiled.singular.any())


def test_a_component_without_points_keeps_its_place():
    x = torch.from_numpy(blobs(100, 2))
    means = torch.stack([x[:50].mean(0), x[50:].mean(0), torch.full((2,), 1e6).double()])
    for name in ("diag", "full"):
        covariances = {"diag": torch.ones(3, 2), "full": torch.eye(2).expand(3, 2, 2)}[name]
        start = gmm.Mixture(torch.full((3,), -np.log(3)), means, covariances.double(), name)
        found = gmm.fit_em(x, start, max_iter=10, tol=0)
        assert found.empty.tolist() == [False, False, True]
        assert found.mixture.means[2].tolist() == [1e6, 1e6]
