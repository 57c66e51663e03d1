import numpy as np
import pytest
import torch

import gmm
from gmm.m_step import Sums
from gmm.points import open_points
from gmm.structures import Columns

D, G, M, K = 300, 2, 2, 3
SIZES = (400, 330)


@pytest.fixture
def data() -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    return [torch.from_numpy(rng.normal(size=(n, D)) + 3).float() for n in SIZES]


def by_hand(data: list[torch.Tensor], resp: torch.Tensor, spherical: bool) -> list[np.ndarray]:
    """Return counts, first and second moments about each data set's mean, as NumPy sums."""
    counts, first, second = [], [], []
    for x, r in zip(data, resp.double().numpy(), strict=True):
        x, r = x.double().numpy(), r[: len(x)].reshape(-1, M * K)
        x = x - x.mean(0)
        counts.append(r.sum(0).reshape(M, K))
        first.append(r.T @ x)
        second.append(r.T @ (x**2).sum(1, keepdims=True) if spherical else r.T @ x**2)
    return [np.stack(parts) for parts in (counts, first, second)]


def assert_equal(sums, expected):
    counts, first, second = sums[0].numpy(), *(moment.numpy() for moment in sums[1])
    np.testing.assert_allclose(counts, expected[0], rtol=1e-6)
    heaviness = expected[0].reshape(G, M * K, 1)
    np.testing.assert_allclose(first / heaviness, expected[1] / heaviness, atol=2e-6)
    np.testing.assert_allclose(second / heaviness, expected[2] / heaviness, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("kind", ["diag", "spherical"])
@pytest.mark.parametrize("n_moving", [0, 5, 300])
def test_sums_follow_the_responsibilities(data, kind, n_moving):
    points, _ = open_points(data)
    sums = Sums(points, kind, Columns(None, M, K))
    means = torch.zeros(G, M, K, D, dtype=torch.float64)
    rng = np.random.default_rng(1)
    resp = torch.from_numpy(rng.dirichlet(np.ones(K), (G, max(SIZES), M))).float()
    for _ in range(6):
        for g in range(G):
            for m in range(M):  # other rows in every mixture
                rows = rng.choice(min(SIZES), n_moving, replace=False)
                moved = rng.dirichlet(np.full(K, 0.3), n_moving)
                resp[g, rows, m] = torch.from_numpy(moved).float()
        got = sums(points.blocks(), lambda block: resp.clone(), means)
        assert_equal(got, by_hand(data, resp, kind == "spherical"))


def test_slow_movements_add_up(data):
    points, _ = open_points(data)
    sums = Sums(points, "diag", Columns(None, M, K))
    means = torch.zeros(G, M, K, D, dtype=torch.float64)
    rng = np.random.default_rng(2)
    begin = rng.dirichlet(np.full(K, 5), (G, max(SIZES), M))
    towards = np.zeros_like(begin)
    for g, x in enumerate(data):
        bright = (x[:, 0] > 3).numpy()[:, None, None]
        towards[g, : len(x)] = np.where(bright, [-1, 1, 0], [1, -1, 0])
    for share in np.linspace(0, 1e-4, 2000):  # a step moves less than is noticed
        resp = torch.from_numpy(begin + share * towards).float()
        got = sums(points.blocks(), lambda block, resp=resp: resp.clone(), means)
    counts, first = got[0].numpy(), got[1][0].numpy()
    expected = by_hand(data, resp, spherical=False)
    heaviness = expected[0].reshape(G, M * K, 1)
    np.testing.assert_allclose(first / heaviness, expected[1] / heaviness, atol=2e-6)
    np.testing.assert_allclose(counts, expected[0], rtol=1e-6)


def test_a_component_may_shrink_to_a_single_point(data):
    points, _ = open_points(data)
    sums = Sums(points, "diag", Columns(None, M, K))
    means = torch.zeros(G, M, K, D, dtype=torch.float64)
    resp = torch.zeros(G, max(SIZES), M, K)
    resp[..., 0] = 1
    resp[:, :80, :, :2] = torch.tensor([0.0, 1.0])
    resp[:, 300:, :, :] = torch.tensor([0.0, 0.0, 1.0])
    for left in range(79, 0, -1):
        resp[:, left, :, :2] = torch.tensor([1.0, 0.0])
        got = sums(points.blocks(), lambda block: resp.clone(), means)
    assert_equal(got, by_hand(data, resp, spherical=False))


def test_a_fit_in_memory_equals_one_from_batches_which_sums_afresh():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 900)
    x = (rng.normal(size=(4, D)) * 0.25)[labels] + rng.normal(size=(900, D))
    x = torch.from_numpy(x).float()
    start = gmm.Mixture(torch.full((4,), 0.25).log(), x[:4], x.var(0).expand(4, -1), "diag")
    within = gmm.fit_em(x, start, max_iter=40, tol=0)
    afresh = gmm.fit_em(_Batches(x), start, max_iter=40, tol=0)
    torch.testing.assert_close(within.log_likelihood, afresh.log_likelihood, rtol=1e-7, atol=0)
    for a, b in zip(within.mixture.tensors(), afresh.mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


class _Batches:
    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def __iter__(self):
        return iter(self.x.split(150))
