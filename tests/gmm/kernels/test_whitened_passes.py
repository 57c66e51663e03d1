"""The passes by full covariances, of few features and of many, against NumPy and SciPy."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, xlogy
from scipy.stats import multivariate_normal

from gmm.kernels import EVIDENCE, JOINT, LIKELIEST, RESPONSIBILITIES, threads, whitened_passes
from gmm.kernels.whitened_passes import Whitened

FIRST = np.array([0, 2, 5])  # two mixtures, of two and three components
CLOSE = {"rtol": 1e-9, "atol": 1e-9}
# Features and points; the last are worked on in two parts.
SIZES = {"few": (3, 50), "several tiles": (300, 40), "many": (400, 90)}


@pytest.fixture(params=SIZES)
def case(request, monkeypatch):
    D, N = SIZES[request.param]
    if D > 100:
        monkeypatch.setattr(whitened_passes, "LARGE", 256)
        monkeypatch.setattr(whitened_passes, "_ROOM", 50 * D)
    rng = np.random.default_rng(D)
    P, center = FIRST[-1], rng.normal(size=D)
    x = (rng.normal(size=(N, D)) + 2).astype(np.float32)
    means = rng.normal(size=(P, D)) / np.sqrt(D)
    made = rng.normal(size=(P, D, 2 * D))
    covariances = made @ made.mT / D * rng.uniform(0.7, 1.4, (P, 1, 1))
    roots = np.linalg.inv(np.linalg.cholesky(covariances)).mT.copy()
    constants = -0.5 * D * np.log(2 * np.pi) + np.log(np.diagonal(roots, 0, 1, 2)).sum(1)
    joint = np.stack(
        [
            multivariate_normal(m + center, c).logpdf(x)
            for m, c in zip(means, covariances, strict=True)
        ]
    )
    return x, Whitened(roots, means, constants, FIRST, center), joint


def responsibilities(joint):
    return np.concatenate([np.exp(j - logsumexp(j, 0)) for j in apart(joint)])


def apart(joint):
    return [joint[a:b] for a, b in pairwise(FIRST)]


def assert_sums(swept, share, x, components):
    far = x - components.center - components.means[:, None]
    np.testing.assert_allclose(swept.counts, share.sum(1), **CLOSE)
    np.testing.assert_allclose(swept.shifts, np.einsum("pn,pnd->pd", share, far), **CLOSE)
    products = np.einsum("pn,pnd,pne->pde", share, far, far, optimize=True)
    np.testing.assert_allclose(swept.products, products, **CLOSE)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_sums_are_those_of_numpy(case, is_weighted):
    x, components, joint = case
    weights = np.random.default_rng(0).uniform(0, 2, len(x)) if is_weighted else None
    swept = components.sums(x, weights, entropy=True)
    resp = responsibilities(joint)
    share = resp * (1 if weights is None else weights)
    w = np.ones(len(x)) if weights is None else weights
    assert_sums(swept, share, x, components)
    evidence = [w @ logsumexp(j, 0) for j in apart(joint)]
    np.testing.assert_allclose(swept.evidence, evidence, **CLOSE)
    entropy = [(xlogy(r, r) @ w).sum() for r in apart(resp)]
    np.testing.assert_allclose(swept.entropy, entropy, **CLOSE)


def test_sums_without_products(case):
    x, components, _ = case
    whole, some = (components.sums(x, None, products=wanted) for wanted in (True, False))
    assert some.products.shape == (0, x.shape[1], x.shape[1])
    np.testing.assert_allclose(some.shifts, whole.shifts, rtol=1e-10, atol=1e-10)


def test_values_are_those_of_scipy(case):
    x, components, joint = case
    np.testing.assert_allclose(components.values(x, JOINT), joint, **CLOSE)
    resp = components.values(x, RESPONSIBILITIES)
    np.testing.assert_allclose(resp, responsibilities(joint), **CLOSE)
    evidence = [logsumexp(j, 0) for j in apart(joint)]
    np.testing.assert_allclose(components.values(x, EVIDENCE), evidence, **CLOSE)
    likeliest = [j.argmax(0) for j in apart(joint)]
    np.testing.assert_array_equal(components.values(x, LIKELIEST), likeliest)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_the_number_of_threads_changes_nothing_but_rounding(case, n_threads, monkeypatch):
    x, components, joint = case
    weights = np.random.default_rng(1).uniform(0, 2, len(x))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    expected = components.sums(x, weights, entropy=True)
    monkeypatch.setattr(threads, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    swept = components.sums(x, weights, entropy=True)
    for own, other in zip(vars(swept).values(), vars(expected).values(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(components.values(x, JOINT), joint, rtol=1e-9)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_sums_of_labels_are_those_of_numpy(case, is_weighted):
    x, components, _ = case
    rng = np.random.default_rng(4)
    weights = rng.uniform(0, 2, len(x)) if is_weighted else None
    labels = np.stack([rng.integers(0, b - a, len(x)) for a, b in pairwise(FIRST)])
    about = (components.first, components.center, components.means)
    swept = whitened_passes.sums_of_labels(x, weights, labels, *about)
    one_hot = [np.eye(b - a)[:, own] for (a, b), own in zip(pairwise(FIRST), labels, strict=True)]
    share = np.concatenate(one_hot)
    share = share if weights is None else share * weights
    assert_sums(swept, share, x, components)
