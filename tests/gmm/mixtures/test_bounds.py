import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from mixtures_at_random import mixture_batch, plane, with_unused_slot
from oracles import STRUCTURES, matrices
from scipy.stats import multivariate_normal
from torch.distributions import MultivariateNormal, kl_divergence

import gmm

ROUNDING = 1e-9
BATCHES = [(), (1,), (2, 3)]


def huber(mixture: gmm.Mixture) -> tuple[float, float]:
    """Return the bounds of Huber et al. 2008, the sums written out."""
    K, D = mixture.means.shape
    w, means = mixture.weights.numpy(), mixture.means.numpy()
    C = matrices(mixture.covariances.numpy(), mixture.covariance_type, K, D)
    lower = upper = 0.0
    for i in range(K):
        found = [w[j] * multivariate_normal(means[j], C[i] + C[j]).pdf(means[i]) for j in range(K)]
        lower -= w[i] * math.log(sum(found))
        determinant = np.linalg.det(C[i])
        upper += w[i] * (-math.log(w[i]) + math.log((2 * math.pi * math.e) ** D * determinant) / 2)
    return lower, upper


def integrals(f: gmm.Mixture, g: gmm.Mixture) -> tuple[float, float]:
    """Return the entropy of f and D(f || g) in two dimensions, summed over a grid."""
    grid, area = plane()
    log_f, log_g = f.score_samples(grid), g.score_samples(grid)
    density = log_f.exp() * area
    return -float(density @ log_f), float(density @ (log_f - log_g))


def assert_between(value: float, bounds: gmm.Bounds, by: float) -> None:
    assert bounds.lower - by <= value <= bounds.upper + by
    assert bounds.lower <= bounds.upper + ROUNDING


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("seed", range(4))
def test_the_integrals_lie_between_the_bounds(name, seed):
    f, g = mixture_batch(name, seed=seed), mixture_batch("full", K=2, seed=seed + 20)
    entropy, divergence = integrals(f, g)
    assert_between(entropy, f.entropy_bounds(), ROUNDING)
    assert_between(divergence, f.kl_bounds(g), ROUNDING)


@pytest.mark.parametrize("name", STRUCTURES)
def test_what_samples_say_lies_between_the_bounds_in_many_dimensions(name):
    f, g = mixture_batch(name, K=4, D=8), mixture_batch(name, K=3, D=8, seed=1)
    x, _ = f.sample(50_000, torch.Generator().manual_seed(0))
    log_f, log_g = f.score_samples(x), g.score_samples(x)
    for values, bounds in ((-log_f, f.entropy_bounds()), (log_f - log_g, f.kl_bounds(g))):
        assert_between(float(values.mean()), bounds, 4 * float(values.std()) / 50_000**0.5)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("seed", range(4))
def test_entropy_is_bounded_at_least_as_tightly_as_by_huber(name, seed):
    mixture = mixture_batch(name, D=3, seed=seed)
    (lower, upper), bounds = huber(mixture), mixture.entropy_bounds()
    assert lower - ROUNDING <= bounds.lower
    assert bounds.upper <= upper + ROUNDING


def test_each_lower_bound_of_entropy_is_the_larger_somewhere():
    half = torch.tensor([0.5, 0.5]).double().log()
    equal = gmm.Mixture(half, torch.zeros(2, 2).double(), torch.ones(2, 2).double())
    expected = 1 + math.log(2 * math.pi)
    assert equal.entropy_bounds().lower == pytest.approx(expected)
    assert huber(equal)[0] == pytest.approx(math.log(4 * math.pi))
    # many in a row, closer together than they are wide: nearly uniform
    row = torch.arange(-20, 20.5, 0.5).double().unsqueeze(-1)
    dense = gmm.Mixture(torch.zeros(81).double() - math.log(81), row, torch.ones(81, 1).double())
    assert dense.entropy_bounds().lower == pytest.approx(huber(dense)[0])


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_bounds_of_one_component_are_its_entropy(name):
    mixture = mixture_batch(name, K=1, D=3)
    C = matrices(mixture.covariances.numpy(), name, 1, 3)[0]
    expected = multivariate_normal(np.zeros(3), C).entropy()
    np.testing.assert_allclose(torch.stack(mixture.entropy_bounds()), expected)


def test_the_bounds_meet_where_components_lie_far_apart():
    mixture = mixture_batch("full", K=3)
    mixture.means.copy_(torch.tensor([[0.0, 0], [1e3, 0], [0, 1e3]]))
    w = mixture.weights
    entropies = MultivariateNormal(mixture.means, mixture.covariances).entropy()
    expected = (w * (entropies - w.log())).sum()
    for bound in mixture.entropy_bounds():
        torch.testing.assert_close(bound, expected)


def test_no_entropy_is_above_that_of_a_gaussian_with_the_same_moments():
    half = torch.tensor([0.5, 0.5]).double().log()
    mixture = gmm.Mixture(half, torch.tensor([[-1.0], [1.0]]).double(), torch.ones(2, 1).double())
    single = math.log(2 * math.pi * math.e * 2) / 2
    assert mixture.entropy_bounds().upper == pytest.approx(single)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_divergence_of_two_gaussians_is_met_from_above(name):
    f, g = mixture_batch(name, K=1, D=3), mixture_batch(name, K=1, D=3, seed=1)
    parts = [
        MultivariateNormal(m.means[0], torch.tensor(matrices(m.covariances.numpy(), name, 1, 3)[0]))
        for m in (f, g)
    ]
    expected = kl_divergence(*parts)
    lower, upper = f.kl_bounds(g)
    torch.testing.assert_close(upper, expected)
    assert 0 <= lower < expected


def test_the_divergence_of_far_components_from_one_gaussian_is_met_from_above():
    # each has an entropy of its own, and E_f[log g] is that of a quadratic
    half = torch.tensor([0.5, 0.5]).double().log()
    f = gmm.Mixture(half, torch.tensor([[-20.0], [20.0]]).double(), torch.ones(2, 1).double())
    g = gmm.Mixture(torch.zeros(1).double(), torch.zeros(1, 1).double(), 401 * torch.ones(1, 1))
    expected = math.log(2 * math.pi * math.e * 401) / 2 - (
        math.log(2) + math.log(2 * math.pi * math.e) / 2
    )
    assert f.kl_bounds(g).upper == pytest.approx(expected)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_divergence_from_the_same_mixture_in_another_order_is_nearly_nothing(name):
    f = mixture_batch(name, K=3)
    order = [2, 0, 1]
    covariances = f.covariances if name == "tied" else f.covariances[order]
    g = gmm.Mixture(f.log_weights[order], f.means[order], covariances, name)
    lower, upper = f.kl_bounds(g)
    assert lower == 0
    assert upper < 1e-3


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_component_that_is_split_in_two_is_the_same_mixture(name):
    f = mixture_batch(name, K=2)
    halves = f.log_weights[[0, 0, 1]] - torch.tensor([2.0, 2, 1]).double().log()
    covariances = f.covariances if name == "tied" else f.covariances[[0, 0, 1]]
    g = gmm.Mixture(halves, f.means[[0, 0, 1]], covariances, name)
    for one, other in ((f, g), (g, f)):
        assert one.kl_bounds(other).upper < 1e-3
    torch.testing.assert_close(g.entropy_bounds(), f.entropy_bounds())


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_an_affine_map_shifts_entropies_by_its_determinant_and_leaves_divergences(seed):
    rng = np.random.default_rng(seed)
    A = torch.from_numpy(np.eye(3) + 0.3 * rng.normal(size=(3, 3)))
    shift = torch.from_numpy(rng.normal(size=3))
    before = [mixture_batch("full", D=3), mixture_batch("full", K=2, D=3, seed=4)]
    after = [
        gmm.Mixture(m.log_weights, m.means @ A.mT + shift, A @ m.covariances @ A.mT, "full")
        for m in before
    ]
    by = torch.linalg.slogdet(A).logabsdet
    for old, new in zip(before[0].entropy_bounds(), after[0].entropy_bounds(), strict=True):
        torch.testing.assert_close(new, old + by, rtol=1e-7, atol=1e-7)
    for old, new in zip(before[0].kl_bounds(before[1]), after[0].kl_bounds(after[1]), strict=True):
        torch.testing.assert_close(new, old, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("batch", BATCHES)
def test_batches_and_unused_slots_change_no_bound(name, batch):
    f, g = mixture_batch(name, batch), mixture_batch("diag", batch, K=2, seed=8)
    padded = with_unused_slot(f, torch.nan), with_unused_slot(g, torch.nan)
    entropy, divergence = padded[0].entropy_bounds(), padded[0].kl_bounds(padded[1])
    for at in np.ndindex(*batch):
        for many, one in zip(entropy, f[at].entropy_bounds(), strict=True):
            torch.testing.assert_close(many[at], one)
        for many, one in zip(divergence, f[at].kl_bounds(g[at]), strict=True):
            torch.testing.assert_close(many[at], one)


def test_batch_shapes_of_two_mixtures_broadcast():
    f, g = mixture_batch("full", (2, 1)), mixture_batch("tied", (3,), K=2, seed=5)
    lower, upper = f.kl_bounds(g)
    assert lower.shape == upper.shape == (2, 3)
    torch.testing.assert_close(upper[1, 2], f[1, 0].kl_bounds(g[2]).upper)


@pytest.mark.parametrize("name", STRUCTURES)
def test_gradients_of_the_bounds_are_finite_beside_unused_slots(name):
    f, g = (with_unused_slot(mixture_batch(name, seed=s)) for s in (0, 1))
    f.means.requires_grad_()
    sum(f.kl_bounds(g)).backward()
    sum(f.entropy_bounds()).backward()
    assert f.means.grad.isfinite().all()
    assert (f.means.grad[:-1] != 0).any(-1).all()


def test_mixtures_far_from_each_other_have_finite_bounds():
    f, g = (with_unused_slot(mixture_batch("diag", seed=s)) for s in (0, 1))
    g.means.add_(1e6)
    lower, upper = f.kl_bounds(g)
    assert 1e9 < lower < upper < 1e14


def test_bounds_keep_the_dtype_of_the_means():
    bounds = mixture_batch("full").to(torch.float32).entropy_bounds()
    assert bounds.lower.dtype == bounds.upper.dtype == torch.float32


def test_what_cannot_be_compared_is_refused():
    f = mixture_batch("full", (2,))
    with pytest.raises(ValueError, match="other must have 2 features, got 3"):
        f.kl_bounds(mixture_batch("full", D=3))
    with pytest.raises(ValueError, match=r"that broadcasts with \(2,\), got \(3,\)"):
        f.kl_bounds(mixture_batch("full", (3,)))
    f.covariances[1, 2] = 0
    with pytest.raises(ValueError, match=r"component 2 in mixture \(1,\) is not positive definite"):
        f.entropy_bounds()
