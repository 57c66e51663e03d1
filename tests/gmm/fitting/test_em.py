import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from oracles import STRUCTURES, blobs, mixture_of, parameters
from sklearn.mixture import GaussianMixture
from torch.distributions import MultivariateNormal

import gmm
from gmm.kernels import LARGE

pytestmark = pytest.mark.filterwarnings(
    # scikit-learn's, where a given number of its steps is compared with ours.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)


class Batches:
    def __init__(self, x, size):
        self.parts = x.split(size)

    def __iter__(self):
        return iter(self.parts)


def sklearn_fit(x, p, name, steps, reg_covar=1e-6):
    covariances = p["covariances"]
    precisions = 1 / covariances if name in ("diag", "spherical") else np.linalg.inv(covariances)
    model = GaussianMixture(
        len(p["weights"]),
        covariance_type=name,
        weights_init=p["weights"],
        means_init=p["means"],
        precisions_init=precisions,
        max_iter=steps,
        tol=0,
        reg_covar=reg_covar,
    )
    return model.fit(x)


def assert_like_sklearn(fit, model):
    np.testing.assert_allclose(fit.mixture.weights, model.weights_, rtol=1e-8)
    np.testing.assert_allclose(fit.mixture.means, model.means_, rtol=1e-8)
    scale = np.abs(model.covariances_).max()
    np.testing.assert_allclose(
        fit.mixture.covariances, model.covariances_, rtol=1e-8, atol=1e-8 * scale
    )
    np.testing.assert_allclose(fit.log_likelihood, model.lower_bounds_, rtol=1e-8)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("chunk_size", [None, 17])
def test_em_steps_equal_those_of_scikit_learn(name, steps, chunk_size):
    x = blobs(200, 4)
    p = parameters(x, 3, name)
    fit = gmm.fit_em(
        torch.from_numpy(x),
        mixture_of(p, name),
        max_iter=steps,
        tol=0,
        reg_covar=1e-6,
        chunk_size=chunk_size,
    )
    assert_like_sklearn(fit, sklearn_fit(x, p, name, steps))


@pytest.mark.parametrize("name", ["full", "tied"])
def test_steps_of_many_features_equal_those_of_scikit_learn(name):
    x = blobs(700, LARGE)
    p = parameters(x, 2, name)
    options = {"max_iter": 3, "tol": 0, "reg_covar": 0.1}
    fit = gmm.fit_em(torch.from_numpy(x), mixture_of(p, name), **options)
    assert_like_sklearn(fit, sklearn_fit(x, p, name, 3, 0.1))


def padded_start(many, name, K):
    """Stack starts of different K as one batch with unused slots."""
    parts = []
    for p in many:
        mixture = mixture_of(p, name)
        missing = K - len(p["weights"])
        log_weights = torch.nn.functional.pad(mixture.log_weights, (0, missing), value=-torch.inf)
        means = torch.nn.functional.pad(mixture.means, (0, 0, 0, missing))
        covariances = mixture.covariances
        if name != "tied":
            one = covariances[:1].expand(missing, *covariances.shape[1:])
            covariances = torch.cat([covariances, one])
        parts.append((log_weights, means, covariances))
    return gmm.Mixture(*(torch.stack(p) for p in zip(*parts, strict=True)), name)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("chunk_size", [None, 30])
def test_a_batch_of_mixed_sizes_and_components_equals_scikit_learn_one_by_one(name, chunk_size):
    sets = [blobs(n, 3, seed=n) for n in (40, 90, 55)]
    sizes = (2, 4, 3)
    many = [[parameters(x, K, name, seed=K) for K in sizes] for x in sets]
    start = padded_start([p for row in many for p in row], name, 4).reshape((3, 3))
    fit = gmm.fit_em(
        [torch.from_numpy(x) for x in sets],
        start,
        max_iter=10,
        tol=0,
        reg_covar=1e-6,
        chunk_size=chunk_size,
    )
    for g, x in enumerate(sets):
        for m in range(3):
            one = gmm.Fit(
                fit.mixture[g, m],
                *(t[g, m] for t in (fit.log_likelihood, fit.converged, fit.n_iter)),
                *(t[g, m] for t in (fit.singular, fit.empty)),
            )
            assert_like_sklearn(one, sklearn_fit(x, many[g][m], name, 10))


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_fit_from_batches_equals_the_fit_in_memory(name):
    x = torch.from_numpy(blobs(100, 3))
    start = mixture_of(parameters(x.numpy(), 3, name), name)
    whole = gmm.fit_em(x, start, max_iter=7, tol=0)
    parts = gmm.fit_em(Batches(x, 23), start, max_iter=7, tol=0, chunk_size=10)
    for a, b in zip(parts.mixture.tensors(), whole.mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(STRUCTURES), st.sampled_from([(), (1,), (2, 3)]))
def test_em_never_lowers_the_log_likelihood(seed, name, batch):
    x = torch.from_numpy(blobs(60, 3, seed=seed))
    starts = [parameters(x.numpy(), 2, name, seed + i) for i in range(int(np.prod(batch)))]
    start = padded_start(starts, name, 2).reshape(batch)
    fit = gmm.fit_em(x, start, max_iter=15, tol=0)
    gains = fit.log_likelihood.diff(dim=-1)
    assert gains.isfinite().any()
    assert not (gains < -1e-10).any()


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(3)), st.sampled_from(STRUCTURES), st.floats(-1e4, 1e4))
def test_the_order_of_components_and_the_origin_do_not_change_a_fit(order, name, shift):
    x = blobs(80, 3)
    p = parameters(x, 3, name)
    q = {"weights": p["weights"][order], "means": p["means"][order] + shift}
    q["covariances"] = p["covariances"] if name == "tied" else p["covariances"][order]
    a = gmm.fit_em(torch.from_numpy(x), mixture_of(p, name), max_iter=5, tol=0)
    b = gmm.fit_em(torch.from_numpy(x + shift), mixture_of(q, name), max_iter=5, tol=0)
    np.testing.assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-7)
    np.testing.assert_allclose(b.mixture.means - shift, a.mixture.means[order], atol=1e-6)
    expected = a.mixture.covariances if name == "tied" else a.mixture.covariances[order]
    np.testing.assert_allclose(b.mixture.covariances, expected, rtol=1e-5, atol=1e-6)


def test_duplicated_data_change_nothing():
    x = torch.from_numpy(blobs(50, 3))
    start = mixture_of(parameters(x.numpy(), 3, "full"), "full")
    once = gmm.fit_em(x, start, max_iter=5, tol=0)
    twice = gmm.fit_em(torch.cat([x, x]), start, max_iter=5, tol=0)
    torch.testing.assert_close(twice.log_likelihood, once.log_likelihood)
    torch.testing.assert_close(twice.mixture.covariances, once.mixture.covariances)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_update_is_stationary_in_the_expected_complete_log_likelihood(name):
    x = torch.from_numpy(blobs(80, 3))
    start = mixture_of(parameters(x.numpy(), 3, name), name)
    resp = start.predict_proba(x)
    new = gmm.fit_em(x, start, max_iter=1, tol=0).mixture
    leaves = [new.weights.clone(), new.means.clone(), new.covariances.clone()]
    weights, means, covariances = (leaf.requires_grad_() for leaf in leaves)
    eye = torch.eye(3, dtype=torch.float64)
    full = {
        "full": lambda: covariances,
        "tied": lambda: covariances.expand(3, 3, 3),
        "diag": lambda: torch.diag_embed(covariances),
        "spherical": lambda: covariances[:, None, None] * eye,
    }[name]()
    normal = MultivariateNormal(means, full)
    expected = (resp * (normal.log_prob(x.unsqueeze(1)) + weights.log())).sum()
    on_simplex = -len(x) * (weights.sum() - 1)  # Lagrange's term, Bishop 2006, eq. 9.20
    for gradient in torch.autograd.grad(expected + on_simplex, leaves):
        assert gradient.abs().max() < 1e-8 * len(x)


def test_a_mixture_that_has_converged_is_frozen_while_others_go_on():
    x = torch.from_numpy(blobs(200, 2))
    starts = [parameters(x.numpy(), 3, "diag", seed) for seed in range(6)]
    fit = gmm.fit_em(x, padded_start(starts, "diag", 3), max_iter=60, tol=1e-4)
    assert fit.n_iter.unique().numel() > 1
    for i, p in enumerate(starts):
        alone = gmm.fit_em(x, mixture_of(p, "diag"), max_iter=60, tol=1e-4)
        assert alone.n_iter == fit.n_iter[i]
        assert alone.converged == fit.converged[i]
        torch.testing.assert_close(alone.mixture.means, fit.mixture.means[i])
        assert fit.log_likelihood[i].isfinite().sum() == fit.n_iter[i]
        torch.testing.assert_close(fit.final_log_likelihood[i], alone.log_likelihood[-1])


@pytest.mark.parametrize("name", ["diag", "spherical", "full"])
def test_a_singular_component_is_reported_and_harms_no_neighbour(name):
    x = torch.from_numpy(blobs(60, 2))
    x[:5] = x.mean(0)
    good = parameters(x.numpy(), 2, name)
    bad = {key: value.copy() for key, value in good.items()}
    bad["means"][1] = x[0]
    bad["covariances"][1] *= 1e-6
    fit = gmm.fit_em(x, padded_start([bad, good], name, 2), max_iter=10, tol=0)
    assert fit.singular.tolist() == [[False, True], [False, False]]
    alone = gmm.fit_em(x, mixture_of(good, name), max_iter=10, tol=0)
    torch.testing.assert_close(fit.mixture.means[1], alone.mixture.means)
    assert fit.mixture.means.isfinite().all()
    assert fit.final_log_likelihood[0] == -torch.inf


def test_a_tied_covariance_without_a_density_is_reported_for_all_components():
    x = torch.from_numpy(blobs(60, 2))
    p = parameters(x.numpy(), 2, "tied")
    x[:, 1] = x[:, 0]
    assert gmm.fit_em(x, mixture_of(p, "tied"), max_iter=10, tol=0).singular.all()


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_component_without_points_is_reported_and_keeps_its_place(name):
    x = torch.from_numpy(blobs(60, 2))
    p = parameters(x.numpy(), 3, name)
    p["means"][2] = 1e4
    fit = gmm.fit_em(x, mixture_of(p, name), max_iter=5, tol=0)
    assert fit.empty.tolist() == [False, False, True]
    torch.testing.assert_close(fit.mixture.means[2], torch.full((2,), 1e4, dtype=torch.float64))
    assert fit.mixture.weights[2] < 1e-12
    assert fit.log_likelihood.isfinite().all()


def faces(n, D, seed=0):
    """Return smooth images of grey levels k/255, with the spread of faces."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(n, 30)) @ rng.normal(size=(30, D)) / 6
    grey = np.clip(0.5 + 0.22 * parts + 0.1 * rng.normal(size=(n, D)), 0, 1)
    return np.round(grey * 255) / 255


@pytest.mark.parametrize("iterations_before", [0, 2])
def test_float32_stays_within_1e_5_of_float64_on_faces(iterations_before):
    x = torch.from_numpy(faces(3374, 2304))
    means = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:35]]
    variances = (2 * x.var(0)).expand(35, -1)
    start = gmm.Mixture(torch.full((35,), 1 / 35, dtype=torch.float64).log(), means, variances)
    options = {"tol": 0, "min_variance": 0.01}
    if iterations_before:
        start = gmm.fit_em(x.float(), start, max_iter=iterations_before, **options).mixture
    start = start.to(torch.float32)
    single = gmm.fit_em(x.float(), start, max_iter=1, **options)
    double = gmm.fit_em(x, start.to(torch.float64), max_iter=1, **options)
    assert single.mixture.means.dtype == torch.float32
    np.testing.assert_allclose(single.log_likelihood, double.log_likelihood, rtol=1e-5)
    for a, b in zip(single.mixture.tensors(), double.mixture.tensors(), strict=True):
        np.testing.assert_allclose(a.double(), b, rtol=1e-5, atol=1e-7)


def test_min_variance_is_a_floor_and_reg_covar_an_addition():
    x = torch.from_numpy(blobs(60, 3))
    start = mixture_of(parameters(x.numpy(), 2, "diag"), "diag")
    plain = gmm.fit_em(x, start, max_iter=1).mixture.covariances
    floor = float(plain.median())
    floored = gmm.fit_em(x, start, max_iter=1, min_variance=floor).mixture.covariances
    torch.testing.assert_close(floored, plain.clamp_min(floor))
    added = gmm.fit_em(x, start, max_iter=1, reg_covar=0.5).mixture.covariances
    torch.testing.assert_close(added, plain + 0.5)


def test_the_start_is_left_as_it_was():
    x = torch.from_numpy(blobs(60, 3))
    start = mixture_of(parameters(x.numpy(), 2, "diag"), "diag")
    before = [t.clone() for t in start.tensors()]
    gmm.fit_em(x, start, max_iter=3)
    assert all(torch.equal(a, b) for a, b in zip(before, start.tensors(), strict=True))


def test_arguments_that_break_their_rule_are_named():
    x = torch.from_numpy(blobs(20, 3))
    start = mixture_of(parameters(x.numpy(), 2, "diag"), "diag")
    for name in ("max_iter", "tol", "reg_covar", "min_variance"):
        with pytest.raises(ValueError, match=f"{name} must be at least 0, got -1"):
            gmm.fit_em(x, start, **{name: -1})
    with pytest.raises(ValueError, match="data must have 3 features, as the start, got 2"):
        gmm.fit_em(x[:, :2], start)
    with pytest.raises(ValueError, match=r"batch shape that begins \(1,\)"):
        gmm.fit_em(x.unsqueeze(0), start)
