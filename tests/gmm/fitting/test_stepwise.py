import copy
import pickle

import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs, matrices, mixture_of, parameters, scipy_log_joint
from scipy.special import softmax

import gmm
import gmm.kernels

EXACT = {"learning_decay": 1, "learning_offset": 0}


@pytest.fixture(params=["kernels", "blocks"])
def way(request, monkeypatch):
    """Either way of the E-step, that of a CPU and that of a GPU."""
    if request.param == "blocks":
        monkeypatch.setattr(gmm.kernels, "DEVICES", ())


def start_of(x, K, name, seed=0):
    return mixture_of(parameters(x, K, name, seed), name)


def assert_same(ours, theirs, tolerance=1e-10):
    for one, other in zip(ours.tensors(), theirs.tensors(), strict=True):
        scale = tolerance * float(other.abs().max())
        torch.testing.assert_close(one, other, rtol=tolerance, atol=scale)


def projected(covariance, name):
    """The covariance of one component that is most likely, from that of the points, (D, D)."""
    return {
        "full": lambda c: c[None],
        "tied": lambda c: c,
        "diag": lambda c: np.diag(c)[None],
        "spherical": lambda c: np.diag(c).mean()[None],
    }[name](covariance)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_first_step_is_one_of_em(name, way):
    x = blobs(200, 4)
    start = start_of(x, 3, name)
    stream = gmm.StepwiseEM(start, reg_covar=0.01, min_variance=0.3)
    log_likelihood = stream.step(torch.from_numpy(x))
    fit = gmm.fit_em(torch.from_numpy(x), start, max_iter=1, reg_covar=0.01, min_variance=0.3)
    assert_same(stream.mixture, fit.mixture)
    torch.testing.assert_close(log_likelihood, fit.log_likelihood[0])


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_one_component_has_the_moments_of_all_points_that_were_seen(name, dtype, way):
    x = blobs(90, 3) * [1, 20, 0.1] + [1000, 0, -3]
    stream = gmm.StepwiseEM(start_of(x[:9], 1, name).to(dtype), **EXACT)
    points = torch.from_numpy(x).to(dtype)
    for batch in points.split([9, 30, 1, 50]):
        stream.step(batch)
    exact = points.double().numpy()
    tolerance = 1e-11 if dtype == torch.float64 else 2e-7
    np.testing.assert_allclose(stream.mixture.means[0], exact.mean(0), rtol=tolerance)
    expected = projected(np.cov(exact.T, bias=True), name)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        stream.mixture.covariances, expected, rtol=tolerance, atol=tolerance * scale
    )


def numpy_stepwise_em(batches, start, name, decay, offset):
    """Return weights, means and matrices by Cappé & Moulines' eqs. 12-13, on plain sums."""
    K, D = start["means"].shape
    p, sums = dict(start), None
    for t, x in enumerate(batches, 1):
        joint = scipy_log_joint(x, p, "full" if t > 1 else name)
        resp = softmax(joint, 1)
        new = (resp.sum(0), resp.T @ x, np.einsum("nk,nd,ne->kde", resp, x, x))
        gamma = (t + offset) ** -decay if t > 1 else 1
        old = sums or new
        sums = [(1 - gamma) * s + gamma * n for s, n in zip(old, new, strict=True)]
        n, first, second = sums
        means = first / n[:, None]
        full = second / n[:, None, None] - np.einsum("kd,ke->kde", means, means)
        full = {
            "full": lambda c, n: c,
            "tied": lambda c, n: np.stack([np.average(c, 0, weights=n)] * K),
            "diag": lambda c, n: c * np.eye(D),
            "spherical": lambda c, n: np.trace(c, 0, 1, 2)[:, None, None] / D * np.eye(D),
        }[name](full, n)
        p = {"weights": n / n.sum(), "means": means, "covariances": full}
    return p


@pytest.mark.parametrize("name", STRUCTURES)
def test_later_steps_average_the_statistics_of_the_batches(name, way):
    x = blobs(240, 3)
    start = parameters(x, 3, name)
    stream = gmm.StepwiseEM(mixture_of(start, name), learning_decay=0.6, learning_offset=2)
    batches = np.split(x, [100, 120, 180])
    for batch in batches:
        stream.step(torch.from_numpy(batch))
    expected = numpy_stepwise_em(batches, start, name, decay=0.6, offset=2)
    ours = stream.mixture
    np.testing.assert_allclose(ours.weights, expected["weights"], rtol=1e-9)
    np.testing.assert_allclose(ours.means, expected["means"], rtol=1e-9)
    full = matrices(ours.covariances.numpy(), name, 3, 3)
    np.testing.assert_allclose(full, expected["covariances"], rtol=1e-8, atol=1e-9)


def test_the_log_likelihood_of_a_batch_is_that_before_the_step():
    x = torch.from_numpy(blobs(90, 2))
    stream = gmm.StepwiseEM(start_of(x.numpy(), 2, "full"), reg_covar=0.1)
    for batch in x.split(30):
        expected = stream.mixture.score(batch)
        torch.testing.assert_close(stream.step(batch), expected)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("decay", [0.6, 1.0])
def test_it_comes_as_near_to_the_truth_as_sampling_lets_it(name, decay):
    """With components apart, theta <- theta + gamma (s - theta) with s of variance v / n a batch.

    The variance of theta ends at gamma / (2 - gamma) v / n.
    """
    rng = np.random.default_rng(5)
    weights, variance, n, T = np.array([0.3, 0.7]), 0.5, 100, 300
    centers = np.array([[-4.0, 4.0], [4.0, 0.0]])
    truth = {"weights": weights, "means": centers, "covariances": None}
    truth["covariances"] = {
        "full": np.stack([variance * np.eye(2)] * 2),
        "tied": variance * np.eye(2),
        "diag": np.full((2, 2), variance),
        "spherical": np.full(2, variance),
    }[name]
    first = {**truth, "means": centers + 1, "covariances": 4 * truth["covariances"]}
    stream = gmm.StepwiseEM(mixture_of(first, name), learning_decay=decay, learning_offset=0)
    for _ in range(T):
        labels = (rng.random(n) < weights[1]).astype(int)
        noise = np.sqrt(variance) * rng.normal(size=(n, 2))
        stream.step(torch.from_numpy(centers[labels] + noise))
    gamma = T**-decay
    found, share = stream.mixture, gamma / (2 - gamma) / n
    of_component = share / weights.min()
    near = {"rtol": 0, "atol": 4 * np.sqrt(share * weights.prod())}
    np.testing.assert_allclose(found.weights, weights, **near)
    np.testing.assert_allclose(
        found.means, centers, rtol=0, atol=4 * np.sqrt(of_component * variance)
    )
    spread = 4 * np.sqrt(of_component * 2) * variance
    np.testing.assert_allclose(found.covariances, truth["covariances"], rtol=0, atol=spread)


def test_what_was_seen_may_be_far_from_where_the_stream_began():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(400, 2)))
    start = gmm.Mixture(torch.zeros(1).double(), x[:1], torch.eye(2).double()[None], "full")
    stream = gmm.StepwiseEM(start, **EXACT)
    far = x + 1e6 * torch.arange(4).repeat_interleave(100).unsqueeze(-1)
    for batch in far.split(100):
        stream.step(batch)
    expected = np.cov(far.T, bias=True)
    np.testing.assert_allclose(stream.mixture.covariances[0], expected, rtol=1e-12)


def test_float32_keeps_its_digits_far_from_the_origin():
    noise = np.random.default_rng(0).normal(size=(300, 2))
    points = torch.from_numpy(noise + 5000).float()
    stream = gmm.StepwiseEM(
        gmm.Mixture(torch.zeros(1), points[:1], torch.ones(1, 2)), learning_decay=0.8
    )
    for batch in points.split(100):
        stream.step(batch)
    assert stream.mixture.means.dtype == torch.float32
    exact = gmm.StepwiseEM(
        gmm.Mixture(torch.zeros(1), points[:1], torch.ones(1, 2)).to(torch.float64),
        learning_decay=0.8,
    )
    for batch in points.double().split(100):
        exact.step(batch)
    torch.testing.assert_close(stream.mixture.covariances.double(), exact.mixture.covariances)


def test_a_component_without_points_keeps_its_place(way):
    x = torch.from_numpy(blobs(100, 2, K=1))
    p = parameters(x.numpy(), 3, "diag")
    p["means"][1] = 1e3
    start = mixture_of(p, "diag")
    stream = gmm.StepwiseEM(start)
    for batch in x.split(50):
        stream.step(batch)
    assert stream.empty.tolist() == [False, True, False]
    torch.testing.assert_close(stream.mixture.means[1], start.means[1])
    torch.testing.assert_close(stream.mixture.covariances[1], start.covariances[1])
    far = start.means[1] + torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    stream.step(far.double())
    assert not stream.empty.any()
    torch.testing.assert_close(stream.mixture.means[1], far.double().mean(0))


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_batch_of_streams_equals_separate_streams(name):
    sets = [torch.from_numpy(blobs(120, 2, seed=s)) for s in range(2)]
    starts = gmm.make_start(
        torch.stack(sets),
        [1, 3],
        covariance_type=name,
        n_init=2,
        generator=torch.Generator().manual_seed(0),
    )
    together = gmm.StepwiseEM(starts, reg_covar=1e-3)
    for rows in (slice(0, 50), slice(50, 120)):
        seen = together.step(torch.stack([x[rows] for x in sets]))
        assert seen.shape == (2, 2, 2)
    together.step([x[:n] for x, n in zip(sets, (20, 70), strict=True)])
    assert together.singular.shape == together.empty.shape == (2, 2, 2, 3)
    for index in np.ndindex(2, 2, 2):
        x = sets[index[0]]
        alone = gmm.StepwiseEM(starts[index], reg_covar=1e-3)
        for batch in (x[:50], x[50:], x[: (20, 70)[index[0]]]):
            alone.step(batch)
        assert_same(together.mixture[index], alone.mixture)


def test_mixtures_may_share_a_batch():
    x = torch.from_numpy(blobs(60, 2))
    starts = gmm.make_start(x, 2, n_init=3, generator=torch.Generator().manual_seed(0))
    together = gmm.StepwiseEM(starts)
    together.step(x)
    together.step(x.expand(3, -1, -1))  # a set for each, which are the same
    for i in range(3):
        alone = gmm.StepwiseEM(starts[i])
        alone.step(x)
        alone.step(x)
        assert_same(together.mixture[i], alone.mixture)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_fitted_mixture_counts_as_its_points(name):
    x = torch.from_numpy(blobs(100, 3))
    fit = gmm.fit_em(x[:70], start_of(x.numpy(), 1, name), max_iter=1, reg_covar=0.5)
    stream = gmm.StepwiseEM(fit.mixture, n_points=70, reg_covar=0.5, **EXACT)
    stream.step(x[70:])
    whole = gmm.fit_em(x, start_of(x.numpy(), 1, name), max_iter=1, reg_covar=0.5)
    assert_same(stream.mixture, whole.mixture)


def test_a_mixture_whose_covariance_has_no_density_waits_for_points():
    x = torch.from_numpy(blobs(40, 2))
    start = start_of(x.numpy(), 1, "full")
    stream = gmm.StepwiseEM(start, **EXACT)
    stream.step(x[:1])
    assert stream.singular.tolist() == [True]
    assert_same(stream.mixture, start)
    stream.step(x[1:])
    assert stream.singular.tolist() == [False]
    torch.testing.assert_close(stream.mixture.covariances[0], x.T.cov(correction=0))


def test_it_goes_on_from_a_pickle():
    x = torch.from_numpy(blobs(90, 2))
    stream = gmm.StepwiseEM(start_of(x.numpy(), 2, "tied"))
    stream.step(x[:50])
    again = pickle.loads(pickle.dumps(stream))
    for one in (stream, again):
        one.step(x[50:])
    assert_same(again.mixture, stream.mixture, tolerance=0)
    assert again.n_batches == 2


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.zeros(5, 2), "batch must have 3 features, as the mixture, got 2"),
        (torch.full((5, 3), torch.nan), "X must be finite, got NaN in row 0"),
        (torch.zeros(0, 3), "data set 0 must have at least one point, got 0"),
        (torch.zeros(4, 5, 3), r"batch must have a batch shape that begins \(2,\), .* got \(4,\)"),
    ],
)
def test_a_batch_that_breaks_its_rule_is_named_and_changes_nothing(batch, message):
    x = torch.from_numpy(blobs(30, 3))
    stream = gmm.StepwiseEM(gmm.make_start(x, 2, n_init=2))
    for _ in range(2):
        before = copy.deepcopy(stream)
        with pytest.raises(ValueError, match=message) as error:
            stream.step(batch)
        assert "\n" not in str(error.value)
        assert stream.n_batches == before.n_batches
        assert_same(stream.mixture, before.mixture, tolerance=0)
        stream.step(x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_decay": 0.5}, "learning_decay must be above 0.5 and at most 1, got 0.5"),
        ({"learning_decay": 1.1}, "learning_decay must be above 0.5 and at most 1, got 1.1"),
        ({"learning_offset": -1}, "learning_offset must be at least 0, got -1"),
        ({"n_points": -1}, "n_points must be at least 0, got -1"),
        ({"reg_covar": -1}, "reg_covar must be at least 0, got -1"),
    ],
)
def test_arguments_that_break_their_rule_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        gmm.StepwiseEM(start_of(blobs(9, 2), 2, "diag"), **options)


def test_mixtures_that_cannot_stream_are_named():
    start = gmm.make_start(torch.from_numpy(blobs(9, 2)), 1, covariance_type="ppca", n_factors=1)
    with pytest.raises(ValueError, match=r"covariance_type must be one of .* got 'ppca'"):
        gmm.StepwiseEM(start[0])
    flat = gmm.Mixture(torch.zeros(1), torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    with pytest.raises(ValueError, match="positive definite covariances, got component 0"):
        gmm.StepwiseEM(flat)
