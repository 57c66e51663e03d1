"""Sums and updates against NumPy, by the kernels of the CPU and by the blocks of other devices."""

import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs, mixture_of, parameters

import gmm
from gmm import kernels
from gmm.expectation.e_step import expect
from gmm.points import open_points
from gmm.structures import Columns


@pytest.fixture(params=["kernels", "blocks"])
def way(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(kernels, "DEVICES", ())
    return request.param


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_e_step_sums_what_numpy_does(name, way):
    x = blobs(90, 4)
    mixture = mixture_of(parameters(x, 3, name), name)
    points, _ = open_points(torch.from_numpy(x), chunk_size=40)
    begun = mixture.reshape((1, 1)).relative_to(points.center.double())
    columns = Columns.of(begun.log_weights)
    factors = mixture.structure.factor(begun.covariances)
    found = expect(points, begun, factors, columns, entropy=True)

    joint = mixture.log_joint(torch.from_numpy(x)).numpy()
    evidence = np.log(np.exp(joint - joint.max(1, keepdims=True)).sum(1)) + joint.max(1)
    resp = np.exp(joint - evidence[:, None])
    np.testing.assert_allclose(found.counts[0, 0], resp.sum(0), rtol=1e-12)
    np.testing.assert_allclose(found.log_evidence.item(), evidence.sum(), rtol=1e-12)
    logs = np.where(resp > 0, resp * np.log(np.where(resp > 0, resp, 1)), 0)
    np.testing.assert_allclose(found.entropy.item(), logs.sum(), rtol=1e-10)
    means, covariances = mixture.structure.update(found.counts, found.moments, begun.means, columns)
    expected = (resp.T @ x) / resp.sum(0)[:, None] - points.center.numpy()
    np.testing.assert_allclose(means[0, 0], expected, rtol=1e-10, atol=1e-12)
    spread = np.einsum(
        "nk,nki,nkj->kij", resp, *[x[:, None] - means[0, 0].numpy() - points.center.numpy()] * 2
    )
    shares = resp.sum(0)
    by_hand = {
        "full": spread / shares[:, None, None],
        "tied": spread.sum(0) / len(x),
        "diag": np.diagonal(spread, 0, 1, 2) / shares[:, None],
        "spherical": np.trace(spread, 0, 1, 2) / shares / x.shape[1],
    }
    np.testing.assert_allclose(covariances[0, 0], by_hand[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("D", [5, 300])
@pytest.mark.parametrize("name", ["diag", "spherical", "tied"])
def test_a_fit_in_memory_equals_one_from_batches(D, name, way):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 900)
    x = (rng.normal(size=(4, D)) * 0.25)[labels] + rng.normal(size=(900, D))
    x = torch.from_numpy(x).float()
    start = gmm.make_start(x, 4, gmm.Start("random_from_data"), covariance_type=name)[0]
    within = gmm.fit_em(x, start, max_iter=30, tol=0, reg_covar=1e-3)
    afresh = gmm.fit_em(_Batches(x), start, max_iter=30, tol=0, reg_covar=1e-3)
    torch.testing.assert_close(within.log_likelihood, afresh.log_likelihood, rtol=2e-6, atol=0)
    for a, b in zip(within.mixture.tensors(), afresh.mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def narrow_clouds(n=600, D=6, K=3, thinnest=1e-4):
    """Points in clouds that are thin in some direction, and far from each other."""
    rng = np.random.default_rng(5)
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    middles = 5 * rng.normal(size=(K, D))
    spread = rng.normal(size=(n, D)) * np.geomspace(1, thinnest, D)
    return middles[rng.integers(K, size=n)] + spread @ turn.T, middles, turn


@pytest.mark.parametrize("name", ["full", "tied"])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_thin_components_keep_their_digits(name, is_weighted):
    x, middles, turn = narrow_clouds()
    covariance = turn * np.geomspace(1, 1e-4, 6) ** 2 @ turn.T
    covariances = np.stack([covariance] * 3) if name == "full" else covariance
    mixture = gmm.Mixture(
        torch.full((3,), -np.log(3), dtype=torch.float64),
        torch.from_numpy(middles), torch.from_numpy(covariances), name,
    )  # fmt: skip
    w = np.random.default_rng(1).uniform(0.5, 2, len(x)) if is_weighted else np.ones(len(x))
    points, _ = open_points(torch.from_numpy(x), weights=[torch.from_numpy(w)])
    begun = mixture.reshape((1, 1)).relative_to(points.center.double())
    factors = mixture.structure.factor(begun.covariances)
    found = expect(points, begun, factors, Columns.of(begun.log_weights), entropy=True)
    # In twice the digits, and in the axes of the clouds, where nothing is thin.
    y = (x.astype(np.longdouble)[:, None] - middles) @ turn.astype(np.longdouble)
    y = y / np.geomspace(1, 1e-4, 6).astype(np.longdouble)
    joint = -0.5 * (y**2).sum(-1) - 3 * np.log(2 * np.pi) - np.log(np.geomspace(1, 1e-4, 6)).sum()
    joint = joint - np.log(3)
    top = joint.max(1, keepdims=True)
    resp = np.exp(joint - top)
    evidence = np.log(resp.sum(1)) + top[:, 0]
    resp /= resp.sum(1, keepdims=True)
    np.testing.assert_allclose(found.log_evidence.item(), float(w @ evidence), rtol=1e-9)
    np.testing.assert_allclose(found.counts[0, 0], (w @ resp).astype(float), rtol=1e-9)
    got = mixture.log_joint(torch.from_numpy(x)).numpy()
    near = joint > top - 50
    np.testing.assert_allclose(got[near], joint[near].astype(float), rtol=0, atol=1e-6)


class _Batches:
    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def __iter__(self):
        return iter(self.x.split(150))
