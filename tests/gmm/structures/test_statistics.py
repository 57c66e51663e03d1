"""Sufficient statistics in place of a kernel for each term: the way of a GPU, taken on the CPU."""

import pytest
import torch

import gmm
from gmm import kernels
from gmm.points import Block
from gmm.structures import STRUCTURES
from gmm.structures.dense import _pairs, _places
from gmm.structures.statistics import ExponentialFamily

KEEPING = ("diag", "spherical", "full")


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Let all structures keep their statistics on the CPU too; count the blocks that do."""
    monkeypatch.setattr(kernels, "DEVICES", ())
    kept = []
    original = Block.kept
    monkeypatch.setattr(ExponentialFamily, "keeps_statistics", lambda self, block: True)
    monkeypatch.setattr(
        Block, "kept", lambda self, name, make: kept.append(name) or original(self, name, make)
    )
    return kept


def fits(name):
    """Fits of two data sets of other sizes with two and three components, three times each."""
    generator = torch.Generator().manual_seed(0)
    data = [
        torch.randn(n, 4, dtype=torch.float64, generator=generator)
        + 4 * torch.randint(0, 3, (n, 1), generator=generator)
        for n in (150, 200)
    ]
    return gmm.fit_many(
        data, [2, 3], n_init=3, covariance_type=name, reg_covar=1e-6, tol=0, max_iter=30,
        generator=generator, chunk_size=60,
    )  # fmt: skip


@pytest.mark.parametrize("name", KEEPING)
def test_a_fit_by_statistics_is_the_fit_without(name, request):
    expected = fits(name)
    kept = request.getfixturevalue("as_on_a_gpu")
    got = fits(name)
    assert set(kept) == {name}
    assert torch.equal(got.n_iter, expected.n_iter)
    torch.testing.assert_close(got.log_likelihood, expected.log_likelihood, rtol=1e-10, atol=0)
    for a, b in zip(
        got.restarts.mixture.tensors(), expected.restarts.mixture.tensors(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", KEEPING)
def test_statistics_times_natural_parameters_are_the_log_density(name):
    kind = STRUCTURES[name]
    assert isinstance(kind, ExponentialFamily)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 9, 3, dtype=torch.float64, generator=generator)
    mean = torch.randn(3, dtype=torch.float64, generator=generator)
    root = torch.randn(3, 3, dtype=torch.float64, generator=generator)
    covariance = {
        "diag": root[0].square() + 0.1,
        "spherical": root[0, 0].square() + 0.1,
        "full": root @ root.T + 0.1 * torch.eye(3),
    }[name]
    matrix = covariance if name == "full" else torch.diag(covariance.expand(3))
    normal = torch.distributions.MultivariateNormal(mean, matrix)
    eta = kind.natural(torch.tensor(0.25).double().log(), mean, kind.factor(covariance))
    expected = normal.log_prob(x[0]) + torch.tensor(0.25).double().log()
    torch.testing.assert_close(kind.statistics(x)[0] @ eta, expected, rtol=1e-12, atol=1e-12)


def test_a_pair_of_features_has_one_place():
    i, j = _pairs(5, torch.device("cpu"))
    matrix = torch.arange(25.0).view(5, 5)
    matrix = matrix + matrix.T
    assert torch.equal(matrix[i, j][_places(5, torch.device("cpu"))].view(5, 5), matrix)
