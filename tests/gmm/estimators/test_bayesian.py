import numpy as np
import pytest
import sklearn.mixture
import torch
from oracles import STRUCTURES, blobs
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal, wishart
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import gmm
from gmm.starting import starts
from gmm.variational.posteriors import Hyperparameters

TYPES = ("dirichlet_process", "dirichlet_distribution")

pytestmark = pytest.mark.filterwarnings(
    # Where a given number of steps is compared.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)


@parametrize_with_checks([gmm.BayesianGaussianMixture()])
def test_scikit_learn_s_checks_pass(estimator, check):
    check(estimator)


@pytest.fixture
def begin_at(monkeypatch):
    """Make both libraries begin with every point belonging to the nearest of given means."""

    def begin(x, *means):
        def ours(points, used, start, generator):
            center = points.center.double().cpu().numpy()
            return torch.from_numpy(np.stack(means) - center)[None].to(points.device)

        turns = iter(means)

        def theirs(self, X, random_state, xp=None):
            nearest = cdist(X, next(turns)).argmin(1)
            self._initialize(X, np.eye(self.n_components)[nearest].astype(X.dtype))

        monkeypatch.setitem(starts.MEANS, "kmeans", ours)
        monkeypatch.setattr(
            sklearn.mixture.BayesianGaussianMixture, "_initialize_parameters", theirs
        )

    return begin


def assert_the_same(ours, theirs, x, tolerance=1e-8):
    names = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
    names += ("weight_concentration_", "mean_precision_", "degrees_of_freedom_")
    names += ("weight_concentration_prior_", "mean_precision_prior_", "mean_prior_")
    names += ("degrees_of_freedom_prior_", "covariance_prior_")
    for name in (*names, "lower_bound_", "lower_bounds_", "n_iter_", "converged_"):
        expected = np.asarray(getattr(theirs, name))
        if name.startswith("lower_bound"):  # theirs is an array of one if tied
            expected = expected.reshape(-1)[0] if name == "lower_bound_" else expected.reshape(-1)
        got = np.asarray(getattr(ours, name))
        assert got.shape == expected.shape, name
        scale = tolerance * np.abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=scale, err_msg=name)
    for method in ("predict", "predict_proba", "score_samples", "score"):
        expected = getattr(theirs, method)(x)
        got = getattr(ours, method)(x)
        np.testing.assert_allclose(got, expected, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("concentration", TYPES)
@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("steps", [1, 10])
def test_iterations_equal_those_of_scikit_learn(begin_at, name, concentration, steps):
    x = blobs(200, 3, K=4)
    begin_at(x, x[:5])
    options = {
        "n_components": 5,
        "covariance_type": name,
        "weight_concentration_prior_type": concentration,
        "max_iter": steps,
        "tol": 0,
    }
    ours = gmm.BayesianGaussianMixture(**options).fit(x)
    theirs = sklearn.mixture.BayesianGaussianMixture(**options).fit(x)
    assert_the_same(ours, theirs, x)


@pytest.mark.parametrize("concentration", TYPES)
@pytest.mark.parametrize("name", STRUCTURES)
def test_given_priors_mean_what_they_mean_in_scikit_learn(begin_at, name, concentration):
    x = blobs(150, 3)
    begin_at(x, x[:4])
    matrix = np.cov(x.T) / 3 + np.eye(3)
    covariance = {"diag": np.diag(matrix), "spherical": 1.7}.get(name, matrix)
    options = {
        "n_components": 4,
        "covariance_type": name,
        "weight_concentration_prior_type": concentration,
        "weight_concentration_prior": 3.5,
        "mean_precision_prior": 0.2,
        "mean_prior": np.array([1.0, -2, 3]),
        "degrees_of_freedom_prior": 2.5,
        "covariance_prior": covariance,
        "reg_covar": 0.1,
        "max_iter": 7,
        "tol": 0,
    }
    ours = gmm.BayesianGaussianMixture(**options).fit(x)
    assert_the_same(ours, sklearn.mixture.BayesianGaussianMixture(**options).fit(x), x)


def test_restarts_converge_like_scikit_learn_s_and_the_best_is_kept(begin_at):
    x = blobs(150, 2, K=6)
    means = [x[:5], x[5:10], x[10:15], x[15:20]]
    options = {"n_components": 5, "n_init": 4, "tol": 0.05, "max_iter": 400}
    options |= {"covariance_type": "full"}
    begin_at(x, *means)
    ours = gmm.BayesianGaussianMixture(**options).fit(x)
    theirs = sklearn.mixture.BayesianGaussianMixture(**options).fit(x)
    assert ours.converged_
    assert_the_same(ours, theirs, x, 1e-7)
    n_iter = []
    for start in means:
        begin_at(x, start)
        alone = gmm.BayesianGaussianMixture(**{**options, "n_init": 1}).fit(x)
        n_iter.append(alone.n_iter_)
        assert alone.lower_bound_ <= ours.lower_bound_ + 1e-9
    assert len(set(n_iter)) > 1  # Some ended before others.


@pytest.mark.parametrize("concentration", TYPES)
@pytest.mark.parametrize("seed", range(3))
def test_an_iteration_never_lowers_the_bound(seed, concentration):
    # What scikit-learn defines for other structures is no strict bound.
    x = blobs(120, 3, K=4, seed=seed)
    model = gmm.BayesianGaussianMixture(
        6,
        covariance_type="full",
        weight_concentration_prior_type=concentration,
        reg_covar=0,
        tol=0,
        max_iter=60,
        random_state=seed,
    ).fit(x)
    gains = np.diff(model.lower_bounds_)
    assert len(gains) == 59
    assert (gains > -1e-9 * abs(model.lower_bound_)).all()


def test_the_posterior_s_expectations_are_those_of_draws():
    rng = np.random.default_rng(0)
    prior = Hyperparameters(
        covariance_type="full",
        is_process=True,
        weight_concentration=0.7,
        mean_precision=0.5,
        mean=torch.zeros(2, dtype=torch.float64),
        degrees_of_freedom=4.0,
        covariance=torch.eye(2, dtype=torch.float64)[None],
    )
    counts = torch.tensor([5.0, 9.0, 2.0], dtype=torch.float64)
    means = torch.from_numpy(rng.normal(size=(3, 2)))
    posterior = prior.posterior(counts, means, torch.eye(2).double().expand(3, 2, 2))
    x = np.array([0.3, -0.4])
    a, b = posterior.concentration.numpy()
    n = 20_000
    shares = rng.beta(a, b, size=(n, 3))
    left = np.cumprod(1 - shares, 1)
    log_weights = np.log(shares) + np.log(np.concatenate([np.ones((n, 1)), left[:, :-1]], 1))
    expected, errors = [], []
    for k in range(3):
        nu = float(posterior.degrees_of_freedom[k])
        scale = np.linalg.inv(posterior.covariances[k].numpy()) / nu
        precisions = wishart(nu, scale, seed=rng).rvs(n)
        noise = np.linalg.solve(
            np.linalg.cholesky(precisions).transpose(0, 2, 1), rng.normal(size=(n, 2, 1))
        )
        mu = posterior.means[k].numpy() + noise[..., 0] / np.sqrt(
            float(posterior.mean_precision[k])
        )
        d = x - mu
        maha = np.einsum("ni,nij,nj->n", d, precisions, d)
        density = 0.5 * (np.linalg.slogdet(precisions)[1] - 2 * np.log(2 * np.pi) - maha)
        values = log_weights[:, k] + density
        expected.append(values.mean())
        errors.append(values.std() / np.sqrt(n))
    pseudo = gmm.Mixture(*posterior.parameters().tensors(), "full")
    got = pseudo.log_joint(torch.from_numpy(x)[None])[0].numpy()
    assert (np.abs(got - expected) < 5 * np.array(errors)).all()
    assert max(errors) < 0.03


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
@pytest.mark.parametrize("name", STRUCTURES)
def test_a_batch_of_posteriors_is_each_by_itself(name, batch):
    D, K = 3, 4
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand((*batch, *shape), dtype=torch.float64, generator=generator)

    def spread(*shape):
        if name in ("diag", "spherical"):
            return 1 + draw(*shape)
        root = draw(*shape)
        return root @ root.mT + torch.eye(D, dtype=torch.float64)

    shape = {"diag": (K, D), "spherical": (K,), "tied": (D, D), "full": (K, D, D)}[name]
    one = shape if name == "tied" else (1, *shape[1:])
    prior_mean, prior_covariance = draw(D), spread(*one)
    counts, means, covariances = 9 * draw(K), draw(K, D), spread(*shape)
    r_log_r = -draw()

    def all_of(at):
        prior = Hyperparameters(name, True, 0.4, 0.3, prior_mean[at], 5.0, prior_covariance[at])
        posterior = prior.posterior(counts[at], means[at], covariances[at])
        factors = prior.kind.factor(posterior.covariances)
        bound = posterior.lower_bound(factors, r_log_r[at])
        return [*posterior.tensors(), *posterior.parameters().tensors()[:1], bound]

    together = all_of(...)
    for at in np.ndindex(*batch):
        for whole, alone in zip(together, all_of(at), strict=True):
            torch.testing.assert_close(whole[at], alone)


class Batches:
    def __init__(self, x, size):
        self.x, self.size = x, size

    def __iter__(self):
        return (self.x[i : i + self.size] for i in range(0, len(self.x), self.size))


@pytest.mark.parametrize("name", STRUCTURES)
def test_batches_give_the_fit_of_the_whole(name):
    x = blobs(100, 3)
    options = {"covariance_type": name, "random_state": 0, "max_iter": 20, "n_init": 2}
    whole = gmm.BayesianGaussianMixture(3, **options).fit(x)
    parts = gmm.BayesianGaussianMixture(3, chunk_size=7, **options).fit(Batches(x, 30))
    np.testing.assert_allclose(parts.means_, whole.means_)
    np.testing.assert_allclose(parts.lower_bounds_, whole.lower_bounds_)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_give_tensors_and_arrays_arrays(dtype):
    x = torch.from_numpy(blobs(80, 3)).to(dtype)
    model = gmm.BayesianGaussianMixture(2, random_state=0)
    from_array = model.fit(x.numpy()).predict_proba(x.numpy())
    assert isinstance(from_array, np.ndarray)
    assert isinstance(model.degrees_of_freedom_, np.ndarray)
    from_tensor = model.fit(x).predict_proba(x)
    assert from_tensor.dtype == model.means_.dtype == dtype
    assert isinstance(model.weight_concentration_[0], torch.Tensor)
    np.testing.assert_allclose(from_tensor, from_array, rtol=1e-5)


@pytest.mark.parametrize("concentration", TYPES)
@pytest.mark.parametrize("name", STRUCTURES)
def test_warm_start_goes_on_where_the_last_fit_ended(name, concentration):
    x = blobs(100, 2)
    options = {"covariance_type": name, "weight_concentration_prior_type": concentration}
    options |= {"tol": 0, "random_state": 0}
    once = gmm.BayesianGaussianMixture(3, max_iter=6, **options).fit(x)
    twice = gmm.BayesianGaussianMixture(3, max_iter=3, warm_start=True, **options).fit(x).fit(x)
    np.testing.assert_allclose(twice.means_, once.means_)
    np.testing.assert_allclose(twice.lower_bound_, once.lower_bound_)


def test_convergence_is_seen_one_warm_step_at_a_time():
    x = blobs(100, 2)
    model = gmm.BayesianGaussianMixture(3, max_iter=1, random_state=0, warm_start=True)
    assert any(model.fit(x).converged_ for _ in range(300))


def test_samples_are_of_the_expected_parameters():
    x = blobs(400, 2)
    model = gmm.BayesianGaussianMixture(3, covariance_type="full", random_state=0).fit(x)
    drawn, labels = model.sample(20_000)
    shares = np.bincount(labels, minlength=3) / 20_000
    np.testing.assert_allclose(shares, model.weights_, atol=5 * np.sqrt(0.25 / 20_000))
    for k in np.flatnonzero(shares > 0.1):
        mine = drawn[labels == k]
        error = np.sqrt(np.diag(model.covariances_[k]) / len(mine))
        assert (np.abs(mine.mean(0) - model.means_[k]) < 5 * error).all()


def test_mixture_answers_as_the_estimator_and_survives_a_file(tmp_path):
    x = blobs(100, 2)
    model = gmm.BayesianGaussianMixture(4, covariance_type="tied", random_state=0).fit(x)
    model.mixture_.save(tmp_path / "mixture.pt")
    again = gmm.Mixture.load(tmp_path / "mixture.pt")
    np.testing.assert_allclose(again.score_samples(torch.from_numpy(x)), model.score_samples(x))
    # A lower bound of the log-density with the expected parameters, by Jensen's inequality.
    weights, covariance = model.weights_, model.covariances_
    expected = sum(
        w * multivariate_normal(m, covariance).pdf(x)
        for w, m in zip(weights, model.means_, strict=True)
    )
    assert (model.score_samples(x) < np.log(expected)).all()


def test_progress_is_printed_when_asked_for(capsys):
    model = gmm.BayesianGaussianMixture(2, verbose=2, verbose_interval=1, random_state=0)
    model.fit(blobs(60, 2))
    assert "Iteration 1\t time lapse" in capsys.readouterr().out


def test_float32_of_many_features_stays_near_float64():
    x = blobs(150, 300)
    options = {"random_state": 0, "max_iter": 10, "tol": 0}
    double = gmm.BayesianGaussianMixture(3, **options).fit(x)
    single = gmm.BayesianGaussianMixture(3, **options).fit(x.astype(np.float32))
    np.testing.assert_allclose(single.lower_bounds_, double.lower_bounds_, rtol=1e-5)
    np.testing.assert_allclose(single.means_, double.means_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 64}, r"n_components must be at most the number of points \(40\), got 64"),
        ({"n_components": 0}, "'n_components' parameter .* Got 0"),
        ({"covariance_type": "round"}, "'covariance_type' parameter .* Got 'round'"),
        ({"init_params": "far"}, "'init_params' parameter .* Got 'far'"),
        ({"n_init": 0}, "'n_init' parameter .* Got 0"),
        ({"tol": -1}, "'tol' parameter .* Got -1"),
        ({"weight_concentration_prior_type": "flat"}, "prior_type' parameter .* Got 'flat'"),
        ({"weight_concentration_prior": 0}, "'weight_concentration_prior' parameter .* Got 0"),
        ({"mean_precision_prior": -1}, "'mean_precision_prior' parameter .* Got -1"),
        ({"degrees_of_freedom_prior": 1}, "degrees_of_freedom_prior must be above 1, got 1"),
        ({"mean_prior": [1.0]}, r"mean_prior must have shape \(2,\), got \(1,\)"),
        ({"covariance_prior": [1.0, -1.0]}, "covariance_prior must be positive"),
        (
            {"covariance_prior": [[1.0, 2.0], [2.0, 1.0]], "covariance_type": "full"},
            "covariance_prior must be symmetric, positive-definite",
        ),
    ],
)
def test_parameters_that_break_their_rule_are_named_in_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        gmm.BayesianGaussianMixture(**options).fit(blobs(40, 2))
    assert "\n" not in str(error.value)


def test_a_lost_covariance_is_named_with_its_remedy():
    x = np.repeat(np.arange(20.0)[:, None], 2, axis=1)
    model = gmm.BayesianGaussianMixture(1, covariance_type="full", reg_covar=0)
    with pytest.raises(ValueError, match=r"component 0 is not positive definite; raise reg_covar"):
        model.fit(x)
    assert model.set_params(covariance_prior=np.eye(2)).fit(x).converged_


def test_nothing_is_predicted_before_a_fit():
    with pytest.raises(NotFittedError):
        gmm.BayesianGaussianMixture().predict(blobs(5, 2))


def test_it_warns_if_it_has_not_converged():
    with pytest.warns(ConvergenceWarning):
        gmm.BayesianGaussianMixture(3, max_iter=1).fit(blobs(50, 2))
