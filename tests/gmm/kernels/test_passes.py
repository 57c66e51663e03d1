"""The compiled passes against NumPy and SciPy."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, xlogy

from gmm.kernels import (
    EVIDENCE,
    JOINT,
    LENGTH,
    LIKELIEST,
    NONE,
    PAIRS,
    RESPONSIBILITIES,
    SQUARES,
    n_statistics,
    threads,
)
from gmm.kernels.passes import Components

FIRST = np.array([0, 3, 7])  # two mixtures, of three and four components
PRODUCTS = {"none": NONE, "length": LENGTH, "squares": SQUARES, "pairs": PAIRS}


def statistics(x, products):
    D = x.shape[1]
    made = {
        NONE: lambda: [],
        LENGTH: lambda: [(x**2).sum(1, keepdims=True)],
        SQUARES: lambda: [x**2],
        PAIRS: lambda: [x[:, [i]] * x[:, [j]] for i in range(D) for j in range(i, D)],
    }[products]
    return np.concatenate([x, np.ones((len(x), 1)), *made()], 1)


def case(products, D, N, dtype=np.float64):
    rng = np.random.default_rng(D)
    x = (rng.normal(size=(N, D)) + 2).astype(dtype)
    center = x.mean(0)
    F = n_statistics(products, D)
    natural = rng.normal(size=(FIRST[-1], F)) * 3 / np.sqrt(F)
    T = statistics(x.astype(np.float64) - center.astype(np.float64), products)
    return x, Components(products, natural, FIRST, center), T, T @ natural.T


def by_hand(joint, T, weights):
    sums, evidence, entropy = [], [], []
    for a, b in pairwise(FIRST):
        log_p = logsumexp(joint[:, a:b], 1)
        resp = np.exp(joint[:, a:b] - log_p[:, None])
        sums.append((resp * weights[:, None]).T @ T)
        evidence.append(weights @ log_p)
        entropy.append(weights @ xlogy(resp, resp).sum(1))
    return np.concatenate(sums), evidence, entropy


@pytest.mark.parametrize("products", PRODUCTS)
@pytest.mark.parametrize(("D", "N"), [(1, 3), (2, 1001), (7, 500), (45, 300), (300, 261)])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_sums_are_those_of_numpy(products, D, N, is_weighted):
    if products == "pairs" and D > 100:
        D = 40
    x, components, T, joint = case(PRODUCTS[products], D, N)
    weights = np.random.default_rng(0).uniform(0.1, 3, N) if is_weighted else None
    swept = components.sums([(x, weights)], entropy=True)
    sums, evidence, entropy = by_hand(joint, T, np.ones(N) if weights is None else weights)
    np.testing.assert_allclose(swept.sums, sums, rtol=1e-9, atol=1e-11 * np.abs(sums).max())
    np.testing.assert_allclose(swept.evidence, evidence, rtol=1e-12)
    np.testing.assert_allclose(swept.entropy, entropy, rtol=1e-9)


@pytest.mark.parametrize("products", ["none", "length", "squares"])
def test_float32_of_many_features_keeps_its_digits(products):
    x, components, T, joint = case(PRODUCTS[products], 2304, 200, np.float32)
    assert components.center.dtype == np.float32  # worked on as it is
    sums, evidence, _ = by_hand(joint, T, np.ones(len(x)))
    swept = components.sums([(x, None)])
    # a log density of two thousand terms of size one, each rounded to 6e-8 of itself
    np.testing.assert_allclose(swept.evidence, evidence, rtol=1e-6)
    np.testing.assert_allclose(swept.sums, sums, atol=2e-5 * np.abs(sums).max())


@pytest.mark.parametrize(("D", "products"), [(3, "pairs"), (300, "squares")])
def test_values_are_those_of_numpy(D, products):
    x, components, _, joint = case(PRODUCTS[products], D, 403)
    halves = [joint[:, a:b] for a, b in pairwise(FIRST)]
    log_p = np.stack([logsumexp(half, 1) for half in halves])
    resp = np.concatenate(
        [np.exp(half - p[:, None]) for half, p in zip(halves, log_p, strict=True)], 1
    )
    likeliest = np.stack([half.argmax(1) for half in halves])
    np.testing.assert_allclose(components.values(x, JOINT), joint.T, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(components.values(x, EVIDENCE), log_p, rtol=1e-10)
    np.testing.assert_allclose(
        components.values(x, RESPONSIBILITIES), resp.T, rtol=1e-9, atol=1e-15
    )
    np.testing.assert_array_equal(components.values(x, LIKELIEST), likeliest)


def test_sums_of_the_likeliest_are_sums_by_label():
    x, components, T, joint = case(SQUARES, 5, 700)
    swept = components.sums([(x, None)], likeliest=True)
    for m, (a, b) in enumerate(pairwise(FIRST)):
        labels = joint[:, a:b].argmax(1)
        for k in range(b - a):
            np.testing.assert_allclose(swept.sums[a + k], T[labels == k].sum(0), atol=1e-9)
        np.testing.assert_allclose(swept.evidence[m], joint[:, a:b].max(1).sum())


def test_a_point_between_equal_components_belongs_to_the_first():
    natural = np.zeros((2, 3))
    components = Components(NONE, natural, np.array([0, 2]), np.zeros(2))
    swept = components.sums([(np.ones((5, 2)), None)], likeliest=True)
    assert swept.sums[:, 2].tolist() == [5.0, 0.0]


def test_responsibilities_far_below_the_smallest_number_are_zero():
    # log joints of 0, -700, -800 and -1e6: the last two have no responsibility at all
    natural = np.array([[0.0, 0.0], [0.0, -700.0], [0.0, -800.0], [0.0, -1e6]])
    components = Components(NONE, natural, np.array([0, 4]), np.zeros(1))
    resp = components.values(np.zeros((9, 1)), RESPONSIBILITIES)
    np.testing.assert_allclose(resp[1], np.exp(-700), rtol=1e-12)
    assert (resp[0] == 1).all()
    assert (resp[2:] == 0).all()


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing_but_rounding(n_threads, monkeypatch):
    x, components, T, joint = case(PAIRS, 6, 5000)
    monkeypatch.setattr(threads, "n_threads", lambda: n_threads)
    monkeypatch.setattr(threads, "_WORTH_A_THREAD", 1)
    assert len(threads.parts(5000, 1e6)) == n_threads
    sums, evidence, _ = by_hand(joint, T, np.ones(5000))
    swept = components.sums([(x, None)])
    np.testing.assert_allclose(swept.sums, sums, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(swept.evidence, evidence, rtol=1e-12)


def test_blas_is_given_its_threads_back():
    before = [library["num_threads"] for library in threads._libraries().info()]
    with threads.one_thread_each(), threads.one_thread_each():  # as a pass within a fit
        within = {
            library["num_threads"]
            for library in threads._libraries().info()
            if library["user_api"] == "blas"
        }
    assert within == {1}
    assert [library["num_threads"] for library in threads._libraries().info()] == before
    assert torch.get_num_threads() == threads.n_threads()
