import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from oracles import blobs
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA, FactorAnalysis
from torch.distributions import LowRankMultivariateNormal

import gmm
from gmm.structures import structure

FACTORED = ("factor", "ppca")


def correlated(n, D, q, seed=0, noise=0.5):
    """Return points of q factors and of noise that differs between the features, (n, D)."""
    rng = np.random.default_rng(seed)
    deviations = noise * rng.uniform(0.5, 1.5, D)
    factors = rng.normal(size=(n, q)) @ rng.normal(size=(q, D))
    return torch.from_numpy(5 + factors + rng.normal(size=(n, D)) * deviations)


def covariances_of(name, K, D, q, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0.3, 1, size=(K, D, 1))
    if name == "ppca":
        noise[:] = noise[:, :1]
    return torch.from_numpy(np.concatenate([rng.normal(size=(K, D, q)), noise], -1))


def dense(covariances):
    loadings, noise = covariances[..., :-1], covariances[..., -1]
    return loadings @ loadings.mT + torch.diag_embed(noise)


def mixture_on(x, name, K, q, seed=0):
    """Return a mixture with means among the points."""
    rng = np.random.default_rng(seed)
    means = x[torch.from_numpy(rng.choice(len(x), K, replace=False))]
    weights = torch.from_numpy(rng.dirichlet(np.full(K, 5)))
    return gmm.Mixture(weights.log(), means, covariances_of(name, K, x.shape[-1], q, seed), name)


def stacked(mixtures):
    parts = zip(*(m.tensors() for m in mixtures), strict=True)
    return gmm.Mixture(*(torch.stack(p) for p in parts), mixtures[0].covariance_type)


@pytest.mark.parametrize("name", FACTORED)
@pytest.mark.parametrize("q", [0, 1, 3, 5])
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_densities_are_those_of_the_dense_matrices(name, q, chunk_size):
    x = torch.from_numpy(blobs(40, 5))
    mixture = mixture_on(x, name, 3, q)
    parts = (mixture.weights, mixture.means, dense(mixture.covariances))
    expected = [
        np.log(w) + multivariate_normal(m, c).logpdf(x.numpy())
        for w, m, c in zip(*(part.numpy() for part in parts), strict=True)
    ]
    joint = mixture.log_joint(x, chunk_size)
    np.testing.assert_allclose(joint, np.stack(expected, -1), rtol=1e-10)


@pytest.mark.parametrize("name", FACTORED)
def test_the_inverse_is_that_of_the_dense_matrices(name):
    covariances = covariances_of(name, 3, 6, 2)
    inverse = structure(name).inverse(covariances)
    torch.testing.assert_close(inverse, torch.linalg.inv(dense(covariances)))


def test_the_number_of_parameters_leaves_out_rotations():
    # 3 components, 6 features: 6 + 6 loadings less one angle, and the noise
    assert structure("factor", 2).n_parameters(3, 6) == 3 * (12 - 1 + 6)
    assert structure("ppca", 2).n_parameters(3, 6) == 3 * (12 - 1 + 1)
    mixture = mixture_on(correlated(20, 6, 2), "factor", 3, 2)
    assert mixture.n_parameters == 2 + 3 * 6 + 3 * 17


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 10_000),
    st.sampled_from(FACTORED),
    st.integers(0, 4),
    st.sampled_from([(), (1,), (2, 3)]),
)
def test_em_never_lowers_the_log_likelihood(seed, name, q, batch):
    x = torch.from_numpy(blobs(60, 4, seed=seed))
    start = stacked([mixture_on(x, name, 2, q, seed + i) for i in range(int(np.prod(batch)))])
    fit = gmm.fit_em(x, start.reshape(batch), max_iter=15, tol=0)
    gains = fit.log_likelihood.diff(dim=-1)
    assert gains.isfinite().any()
    assert not (gains < -1e-10).any()


@pytest.mark.parametrize("name", FACTORED)
def test_nor_does_it_where_the_noise_is_at_its_floor(name):
    x = correlated(80, 5, 2)
    floor = 0.2
    start = mixture_on(x, name, 2, 2)
    fit = gmm.fit_em(x, start, max_iter=40, tol=0, min_variance=floor)
    assert (fit.log_likelihood.diff() >= -1e-10).all()
    assert fit.mixture.covariances[..., -1].min() == floor


def numpy_step(x, resp, mean, covariance):
    """Return the mean, explained covariance and noise after a step of PX-EM.

    Factors become N(a, R), and then N(0, I) again.
    """
    loadings, noise = covariance[:, :-1], covariance[:, -1:]
    left = np.linalg.inv(np.eye(loadings.shape[1]) + loadings.T @ (loadings / noise))
    z = (x - mean) @ (loadings / noise) @ left
    share = resp / resp.sum()
    z1 = np.column_stack([z, np.ones(len(x))])
    z_z = z1.T * share @ z1
    z_z[:-1, :-1] += left
    both = np.linalg.solve(z_z, z1.T * share @ x).T  # loadings and mean (Bishop 2006, eq. 12.69)
    residual = (share @ x**2) - (both * (x.T * share @ z1)).sum(1)
    a = z_z[:-1, -1]
    stretched = both[:, :-1] @ (z_z[:-1, :-1] - np.outer(a, a)) @ both[:, :-1].T
    return both[:, -1] + both[:, :-1] @ a, stretched, residual


@pytest.mark.parametrize("name", FACTORED)
def test_a_step_is_that_of_px_em_in_numpy(name):
    x = correlated(90, 5, 2)
    start = mixture_on(x, name, 3, 2)
    resp = start.predict_proba(x).numpy()
    end = gmm.fit_em(x, start, max_iter=1).mixture
    np.testing.assert_allclose(end.weights, resp.mean(0))
    for k in range(3):
        old = start.means[k].numpy(), start.covariances[k].numpy()
        mean, explained, noise = numpy_step(x.numpy(), resp[:, k], *old)
        noise = noise if name == "factor" else np.full(5, noise.mean())
        np.testing.assert_allclose(end.means[k], mean)
        np.testing.assert_allclose(dense(end.covariances)[k], explained + np.diag(noise))


@pytest.mark.parametrize(("name", "plain"), [("factor", "diag"), ("ppca", "spherical")])
@pytest.mark.parametrize("rand_const", [None, 2.0])
def test_without_factors_only_the_noise_is_left(name, plain, rand_const):
    x = torch.from_numpy(blobs(80, 4))
    options = {"n_init": 3, "start": gmm.Start(rand_const=rand_const), "max_iter": 20, "tol": 0}
    fits = [
        gmm.fit_many(
            x,
            [2, 3],
            covariance_type=kind,
            n_factors=0,
            reg_covar=1e-3,
            generator=torch.Generator().manual_seed(0),
            **options,
        )
        for kind in (name, plain)
    ]
    got, expected = (fit.restarts.mixture for fit in fits)
    noise = got.covariances.squeeze(-1)
    variances = expected.covariances if plain == "diag" else expected.covariances.unsqueeze(-1)
    torch.testing.assert_close(noise, variances.expand_as(noise), rtol=1e-11, atol=0)
    torch.testing.assert_close(got.means, expected.means, rtol=1e-11, atol=0)
    histories = [fit.restarts.log_likelihood for fit in fits]
    torch.testing.assert_close(*histories, rtol=1e-11, atol=0)


@pytest.mark.parametrize("name", FACTORED)
@pytest.mark.parametrize("K", [1, 2])
def test_with_a_factor_less_than_features_it_is_as_likely_as_full(name, K):
    x = torch.from_numpy(blobs(200, 4, K=2))
    start = mixture_on(x, name, K, 3)
    full = gmm.Mixture(start.log_weights, start.means, dense(start.covariances), "full")
    ours, theirs = (gmm.fit_em(x, m, max_iter=3000, tol=1e-12) for m in (start, full))
    assert ours.converged
    assert theirs.converged
    torch.testing.assert_close(
        ours.final_log_likelihood, theirs.final_log_likelihood, rtol=1e-8, atol=0
    )


def test_one_component_is_scikit_learn_s_factor_analysis():
    x = correlated(300, 6, 2)
    theirs = FactorAnalysis(2, tol=1e-14, max_iter=100_000, svd_method="lapack").fit(x.numpy())
    ours = gmm.fit_em(x, mixture_on(x, "factor", 1, 2), max_iter=1000, tol=1e-14)
    np.testing.assert_allclose(ours.final_log_likelihood, theirs.score(x.numpy()), rtol=1e-8)
    covariance = dense(ours.mixture.covariances)[0]
    np.testing.assert_allclose(covariance, theirs.get_covariance(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.mixture.means[0], x.mean(0))


def test_one_component_with_equal_noise_is_scikit_learn_s_pca():
    x = correlated(300, 6, 2)
    N, D = x.shape
    theirs = PCA(2).fit(x.numpy())
    ours = gmm.fit_em(x, mixture_on(x, "ppca", 1, 2), max_iter=1000, tol=1e-14)
    # scikit-learn's covariance divides by N - 1
    covariance = dense(ours.mixture.covariances)[0] * N / (N - 1)
    np.testing.assert_allclose(covariance, theirs.get_covariance(), rtol=1e-5, atol=1e-6)
    expected = theirs.score(x.numpy()) + D / 2 * np.log(N / (N - 1)) - D / (2 * N)
    np.testing.assert_allclose(ours.final_log_likelihood, expected, rtol=1e-8)


@pytest.mark.parametrize("name", FACTORED)
def test_a_fit_ends_where_the_log_likelihood_has_no_slope(name):
    x = torch.cat([correlated(150, 5, 1, seed=s) + 4 * s for s in (1, 2)])
    start = mixture_on(x, name, 2, 1)
    end = gmm.fit_em(x, start, max_iter=600, tol=0).mixture

    def slopes(mixture):
        noise = mixture.covariances[..., -1] if name == "factor" else mixture.covariances[:, :1, -1]
        tensors = (mixture.log_weights, mixture.means, mixture.covariances[..., :-1], noise.log())
        leaves = [t.clone().requires_grad_() for t in tensors]
        logits, means, loadings, log_noise = leaves
        each = log_noise.exp().expand(2, 5)
        normal = LowRankMultivariateNormal(means, loadings, each)
        joint = normal.log_prob(x.unsqueeze(1)) + logits.log_softmax(-1)
        gradients = torch.autograd.grad(joint.logsumexp(-1).mean(), leaves)
        return torch.stack([g.abs().max() for g in gradients])

    assert (slopes(start) > 1e-2).all()
    assert (slopes(end) < 1e-6).all()


@pytest.mark.parametrize("name", FACTORED)
@pytest.mark.parametrize("chunk_size", [None, 25])
def test_a_batch_of_mixed_sizes_and_components_equals_separate_fits(name, chunk_size):
    sets = [correlated(n, 4, 2, seed=n) for n in (40, 90)]
    small, large = ([mixture_on(x, name, K, 2) for x in sets] for K in (2, 3))
    padded = [
        gmm.Mixture(
            torch.cat([m.log_weights, torch.tensor([-torch.inf])]),
            torch.cat([m.means, torch.zeros(1, 4)]),
            torch.cat([m.covariances, torch.ones(1, 4, 3)]),
            name,
        )
        for m in small
    ]
    start = stacked([padded[0], large[0], padded[1], large[1]]).reshape((2, 2))
    options = {"max_iter": 10, "tol": 0, "reg_covar": 1e-6}
    fit = gmm.fit_em(sets, start, chunk_size=chunk_size, **options)
    for g, x in enumerate(sets):
        for m, begun in enumerate((small[g], large[g])):
            alone = gmm.fit_em(x, begun, **options)
            torch.testing.assert_close(fit.log_likelihood[g, m], alone.log_likelihood)
            for a, b in zip(fit.mixture[g, m].tensors(), alone.mixture.tensors(), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


class Batches:
    def __init__(self, x, size):
        self.parts = x.split(size)

    def __iter__(self):
        return iter(self.parts)


@pytest.mark.parametrize("name", FACTORED)
def test_a_fit_from_batches_equals_the_fit_in_memory(name):
    x = correlated(100, 4, 2)
    start = mixture_on(x, name, 2, 2)
    whole = gmm.fit_em(x, start, max_iter=7, tol=0)
    parts = gmm.fit_em(Batches(x, 23), start, max_iter=7, tol=0, chunk_size=10)
    for a, b in zip(parts.mixture.tensors(), whole.mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_float32_points_of_little_noise_keep_the_digits_of_float64():
    # Noise is a millionth of the variance.
    x = torch.cat([correlated(120, 2304, 6, seed=s, noise=2e-3) + s for s in (0, 2)])
    x = x.float().double()
    start = gmm.make_start(x, 2, covariance_type="factor", n_factors=6)[0]
    options = {"max_iter": 12, "tol": 0}
    double = gmm.fit_em(x, start, **options)
    single = gmm.fit_em(x.float(), start, **options)
    assert single.mixture.means.dtype == torch.float32
    torch.testing.assert_close(single.log_likelihood, double.log_likelihood, rtol=1e-9, atol=0)
    noise = [fit.mixture.covariances[..., -1].double() for fit in (single, double)]
    torch.testing.assert_close(*noise, rtol=1e-5, atol=0)
    scores = single.mixture.score_samples(x.float(), dtype=torch.float64)
    torch.testing.assert_close(scores, single.mixture.score_samples(x.float().double()))


@pytest.mark.parametrize("name", FACTORED)
def test_samples_have_the_moments_of_the_parameters(name):
    mixture = mixture_on(torch.zeros(2, 4, dtype=torch.float64), name, 2, 2)
    x, labels = mixture.sample(200_000, torch.Generator().manual_seed(0))
    for k, expected in enumerate(dense(mixture.covariances).numpy()):
        found = np.cov(x[labels == k].numpy().T)
        np.testing.assert_allclose(found, expected, atol=0.04 * expected.max())


@pytest.mark.parametrize("name", FACTORED)
def test_reg_covar_and_min_variance_act_on_the_noise(name):
    covariances = torch.ones(2, 3, 2, dtype=torch.float64)
    floored = structure(name).floor(covariances, 0.5, 1.2)
    assert floored.tolist() == [[[1, 1.5]] * 3] * 2
    assert structure(name).floor(covariances, 0.5, 1.7)[..., 1].unique().tolist() == [1.7]


@pytest.mark.parametrize("name", FACTORED)
def test_a_component_without_noise_is_reported_and_harms_no_neighbour(name):
    x = torch.from_numpy(blobs(60, 3))
    x[:5] = x.mean(0)
    good = mixture_on(x, name, 2, 1)
    means, covariances = good.means.clone(), good.covariances.clone()
    means[1], covariances[1] = x[0], covariances[1] * 1e-6
    bad = gmm.Mixture(good.log_weights, means, covariances, name)
    fit = gmm.fit_em(x, stacked([bad, good]), max_iter=10, tol=0)
    assert fit.singular.tolist() == [[False, True], [False, False]]
    assert fit.final_log_likelihood[0] == -torch.inf
    alone = gmm.fit_em(x, good, max_iter=10, tol=0)
    torch.testing.assert_close(fit.mixture.means[1], alone.mixture.means)
    assert all(t.isfinite().all() for t in fit.mixture.tensors())


@pytest.mark.parametrize("name", FACTORED)
def test_a_component_without_points_keeps_its_place(name):
    x = torch.from_numpy(blobs(60, 3))
    start = mixture_on(x, name, 2, 1)
    start.means[1] = 1e4
    fit = gmm.fit_em(x, start, max_iter=5, tol=0)
    assert fit.empty.tolist() == [False, True]
    torch.testing.assert_close(fit.mixture.covariances[1], start.covariances[1])


@pytest.mark.parametrize("name", FACTORED)
def test_mixtures_are_saved_indexed_and_moved_with_their_factors(name, tmp_path):
    x = torch.from_numpy(blobs(30, 4))
    many = stacked([mixture_on(x, name, 2, 3, seed) for seed in range(6)]).reshape((2, 3))
    many.save(tmp_path / "model.pt")
    again = gmm.Mixture.load(tmp_path / "model.pt")
    assert again.n_factors == 3
    assert again[1, 2].covariances.shape == (2, 4, 4)
    torch.testing.assert_close(again[1, 2].score_samples(x), many.score_samples(x)[1, 2])
    assert again.to(torch.float32).covariances.dtype == torch.float32


@pytest.mark.parametrize("name", FACTORED)
def test_variances_become_noise_alone(name):
    variances = torch.tensor([[1.0, 2.0, 6.0]])
    covariances = structure(name, 2).from_variances(variances)
    expected = [1, 2, 6] if name == "factor" else [3, 3, 3]
    assert covariances.tolist() == [[[0, 0, v] for v in expected]]


@pytest.mark.parametrize("q", [-1, 4, 1.5, True, None])
def test_a_number_of_factors_that_features_cannot_have_is_named(q):
    rule = r"n_factors must be a whole number from 0 to the number of features \(3\)"
    with pytest.raises(ValueError, match=f"{rule}, got {q}"):
        structure("factor", q).shape(2, 3)


def test_covariances_of_another_shape_are_refused():
    with pytest.raises(
        ValueError, match=r"covariances must have shape \(2, 3, 3\).*got \(2, 4, 3\)"
    ):
        gmm.Mixture(torch.zeros(2), torch.zeros(2, 3), torch.ones(2, 4, 3), "factor")
    with pytest.raises(ValueError, match=r"covariances must have shape \(2, 3, 1\).*got \(\)"):
        gmm.Mixture(torch.zeros(2), torch.zeros(2, 3), torch.ones(()), "factor")
