"""Mixtures on a GPU against the CPU."""

import json
import warnings

import numpy as np
import pytest
import torch

import gmm
from gmm.fitting.em_state import EMState
from gmm.points import open_points
from tests.gpu.device import DEVICE

pytestmark = pytest.mark.gpu

STRUCTURES = ("diag", "spherical", "tied", "full")


def blobs(n, D, dtype=torch.float64, seed=0):
    """Three clusters away from the origin, (n, D)."""
    generator = torch.Generator().manual_seed(seed)
    centers = 3 * torch.randn(3, D, dtype=torch.float64, generator=generator) + 5
    shapes = 0.3 * torch.randn(3, D, D, dtype=torch.float64, generator=generator) / D**0.5
    label = torch.randint(0, 3, (n,), generator=generator)
    noise = torch.randn(n, D, dtype=torch.float64, generator=generator)
    noise = noise + torch.einsum("nd,nde->ne", noise, shapes[label])
    return (centers[label] + noise).to(dtype)


def fitted(data, name, device, **given):
    """Fits of two, three and five components, four times each, from the same starts."""
    options = {"n_init": 4, "max_iter": 25, "tol": 0.0, "reg_covar": 1e-4, **given}
    start = gmm.Start("random_from_data")
    generator = torch.Generator().manual_seed(3)
    return gmm.fit_many(
        data, [2, 3, 5], covariance_type=name, start=start, generator=generator, device=device,
        **options,
    )  # fmt: skip


def assert_same(found, expected, rtol):
    assert torch.equal(found.restarts.n_iter.cpu(), expected.restarts.n_iter)
    assert torch.equal(found.restarts.converged.cpu(), expected.restarts.converged)
    assert torch.equal(found.restarts.singular.cpu(), expected.restarts.singular)
    a, b = found.restarts.log_likelihood.cpu(), expected.restarts.log_likelihood
    torch.testing.assert_close(a, b, rtol=rtol, atol=0, equal_nan=True)
    each = zip(found.restarts.mixture.tensors(), expected.restarts.mixture.tensors(), strict=True)
    for a, b in each:
        scale = b[b.isfinite()].abs().max()
        torch.testing.assert_close(a.cpu(), b, rtol=10 * rtol, atol=float(10 * rtol * scale))


@pytest.mark.parametrize("n_features", [3, 66])
@pytest.mark.parametrize("name", STRUCTURES)
def test_a_stream_learns_what_it_does_on_the_cpu(name, n_features):
    x = blobs(900, n_features)
    start = gmm.Start("random_from_data")
    generator = torch.Generator().manual_seed(3)
    starts = gmm.make_start(
        x, [2, 3], start, covariance_type=name, n_init=2, reg_covar=1e-4, generator=generator
    )
    here = gmm.StepwiseEM(starts, reg_covar=1e-4)
    there = gmm.StepwiseEM(starts.to(DEVICE), reg_covar=1e-4)
    for batch in x.split([500, 300, 100]):
        torch.testing.assert_close(there.step(batch).cpu(), here.step(batch), rtol=1e-9, atol=0)
    for a, b in zip(there.mixture.tensors(), here.mixture.tensors(), strict=True):
        assert a.device.type == torch.device(DEVICE).type
        scale = b[b.isfinite()].abs().max()
        torch.testing.assert_close(a.cpu(), b, rtol=1e-8, atol=float(1e-8 * scale))


@pytest.mark.parametrize("tol", [0.0, 1e-3], ids=["all", "until"])
@pytest.mark.parametrize("n_features", [3, 66])
@pytest.mark.parametrize("name", STRUCTURES)
def test_many_fits_are_those_of_the_cpu(name, n_features, tol):
    n = 10 * n_features + 100
    data = [blobs(n + extra, n_features, seed=extra) for extra in (0, 30, 7)]
    options = {"tol": tol, "max_iter": 40 if n_features == 3 else 10}
    expected = fitted(data, name, "cpu", **options)
    found = fitted([x.to(DEVICE) for x in data], name, None, **options)
    assert found.mixture.means.device.type == DEVICE
    assert_same(found, expected, 1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["diag", "spherical", "tied", "full"])
def test_wide_points_are_fitted_as_on_the_cpu(name, dtype):
    x = blobs(400, 300, dtype)
    start = {"n_init": 2, "max_iter": 4}
    expected, found = fitted(x, name, "cpu", **start), fitted(x, name, DEVICE, **start)
    assert_same(found, expected, 1e-4 if dtype == torch.float32 else 1e-7)


@pytest.mark.parametrize("name", STRUCTURES)
def test_float32_points_are_fitted_as_on_the_cpu(name):
    x = blobs(400, 5, torch.float32)
    found = fitted(x, name, DEVICE)
    assert found.mixture.means.dtype == torch.float32
    assert_same(found, fitted(x, name, "cpu"), 1e-5)


@pytest.mark.parametrize("name", STRUCTURES)
def test_points_in_pieces_are_fitted_as_on_the_cpu(name):
    x = blobs(401, 6)
    expected = fitted(x, name, "cpu")
    assert_same(fitted(x.to(DEVICE), name, None, chunk_size=150), expected, 1e-7)
    assert_same(fitted(Batches(x), name, DEVICE), expected, 1e-7)


class Batches:
    """Points that are read piece by piece, again and again."""

    def __init__(self, x):
        self.x = x

    def __iter__(self):
        return iter(self.x.split(90))


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_covariance_that_is_lost_is_told_as_on_the_cpu(name):
    x = blobs(60, 3)
    x[:5] = x[0]
    start = gmm.Mixture(
        torch.full((2, 2), 0.5, dtype=torch.float64).log(),
        torch.stack([torch.stack([x[0], x[30]]), torch.stack([x[20], x[40]])]),
        gmm.structures.structure(name).from_variances(
            torch.full((2, 2, 3), 1e-6, dtype=torch.float64)
        ),
        name,
    )
    options = {"max_iter": 8, "tol": 0.0}
    expected = gmm.fit_em(x, start, **options)
    found = gmm.fit_em(x.to(DEVICE), start.to(DEVICE), **options)
    assert torch.equal(found.singular.cpu(), expected.singular)
    assert torch.equal(found.n_iter.cpu(), expected.n_iter)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("n_features", [4, 80])
def test_iterations_do_not_wait_for_the_gpu(name, n_features, no_waiting):
    x = blobs(1500, n_features).to(DEVICE)
    kind = gmm.structures.structure(name)
    variances = x.var(0).expand(3, n_features)
    start = gmm.Mixture(
        torch.full((3,), 1 / 3, dtype=torch.float64, device=DEVICE).log(),
        x[[0, 700, 1400]], kind.from_variances(variances), name,
    )  # fmt: skip
    points, _ = open_points(x, row_numbers=start.row_numbers, wide=kind.on_diagonal)
    state = EMState(points, start.flatten(0), 1e-4, 0.0, 1e-3, lag=2)
    state.step()
    state.step()
    assert state.is_captured == (DEVICE == "cuda")
    state.finished()
    no_waiting()
    for _ in range(4):
        state.step()
        state.finished()
    launched = EMState._step
    for _ in range(2):  # the same, launched one kernel after another
        launched(state)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_fit_without_a_tolerance_does_not_wait_for_the_gpu(name, no_waiting):
    x = blobs(300, 4)
    kind = gmm.structures.structure(name)
    start = gmm.Mixture(
        torch.full((3,), 1 / 3, dtype=torch.float64).log(),
        x[[0, 140, 280]], kind.from_variances(x.var(0).expand(3, 4)), name,
    )  # fmt: skip
    options = {"max_iter": 8, "tol": 0.0, "reg_covar": 1e-4}
    expected = gmm.fit_em(x, start, **options)
    seen = []

    def look(iteration, mean):
        seen.append(iteration)
        if iteration == 2:  # the first step sets up libraries, the second is captured
            no_waiting()
        elif iteration == 8 and DEVICE == "cuda":
            torch.cuda.set_sync_debug_mode("default")

    found = gmm.fit_em(x.to(DEVICE), start.to(DEVICE), callback=look, **options)
    assert seen == list(range(1, 9))
    a, b = found.log_likelihood.cpu(), expected.log_likelihood
    torch.testing.assert_close(a, b, rtol=1e-7, atol=0)
    torch.testing.assert_close(found.mixture.means.cpu(), expected.mixture.means)


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_estimator_fits_as_on_the_cpu(name, quiet):
    X = blobs(500, 4).numpy()
    options = {"covariance_type": name, "n_init": 2, "random_state": 0, "max_iter": 40}
    on_cpu = gmm.GaussianMixture(3, **options).fit(X)
    on_gpu = gmm.GaussianMixture(3, device=DEVICE, **options).fit(X)
    assert isinstance(on_gpu.means_, np.ndarray)
    assert on_gpu.n_iter_ == on_cpu.n_iter_
    np.testing.assert_allclose(on_gpu.means_, on_cpu.means_, rtol=1e-7)
    np.testing.assert_allclose(on_gpu.covariances_, on_cpu.covariances_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(on_gpu.lower_bound_, on_cpu.lower_bound_, rtol=1e-9)
    np.testing.assert_array_equal(on_gpu.predict(X), on_cpu.predict(X))
    np.testing.assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), atol=1e-7)
    assert on_gpu.score(X) == pytest.approx(on_cpu.score(X), rel=1e-9)


def test_the_estimator_keeps_to_the_device_of_its_points(quiet):
    x = blobs(200, 4).to(DEVICE)
    model = gmm.GaussianMixture(3, random_state=0).fit(x)
    assert model.means_.device.type == DEVICE
    assert model.predict(x).device.type == DEVICE


@pytest.mark.parametrize("name", STRUCTURES)
def test_an_estimator_answers_where_its_points_are(name, quiet):
    x = blobs(300, 4)
    options = {"covariance_type": name, "random_state": 0, "max_iter": 40}
    on_cpu = gmm.GaussianMixture(3, **options).fit(x)
    on_gpu = gmm.GaussianMixture(3, **options).fit(x.to(DEVICE))
    for method in ("predict_proba", "score_samples"):
        expected = getattr(on_cpu, method)(x)
        for model in (on_cpu, on_gpu):
            for device in ("cpu", DEVICE):
                found = getattr(model, method)(x.to(device))
                assert found.device.type == device
                torch.testing.assert_close(found.cpu(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("tol", [0.0, 1e-3], ids=["all", "until"])
@pytest.mark.parametrize("name", ["diag", "spherical", "tied"])
def test_data_sets_that_share_a_covariance_are_fitted_as_on_the_cpu(name, tol):
    data = [blobs(130 + extra, 3, seed=extra) for extra in (0, 30, 7)]
    expected = fitted(data, name, "cpu", tol=tol, share_covariance=True)
    found = fitted(data, name, DEVICE, tol=tol, share_covariance=True)
    assert_same(found, expected, 1e-7)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_classifier_fits_as_on_the_cpu(name, quiet):
    X = blobs(600, 4).numpy()
    y = (X[:, 0] > X[:, 0].mean()).astype(int)
    options = {"covariance_type": name, "random_state": 0, "reg_covar": 1e-4}
    on_cpu = gmm.MixtureClassifier((1, 2, 3), **options).fit(X, y).at(3)
    on_gpu = gmm.MixtureClassifier((1, 2, 3), device=DEVICE, **options).fit(X, y).at(3)
    np.testing.assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(on_gpu.predict(X), on_cpu.predict(X))


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_classifier_answers_where_its_points_are(name, quiet):
    x = blobs(400, 4)
    y = (x[:, 0] > x[:, 0].mean()).long().numpy()
    options = {"covariance_type": name, "random_state": 0, "reg_covar": 1e-4}
    expected = gmm.MixtureClassifier(2, **options).fit(x, y).predict_proba(x)
    model = gmm.MixtureClassifier(2, **options).fit(x.to(DEVICE), y)
    for device in ("cpu", DEVICE):
        found = model.predict_proba(x.to(device))
        assert found.device.type == model.predict(x.to(device)).device.type == device
        torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-6)


def test_mixtures_go_between_devices_by_file(tmp_path):
    mixture = fitted(blobs(200, 3), "full", DEVICE).mixture
    mixture.save(tmp_path / "mixture.pt")
    read = gmm.Mixture.load(tmp_path / "mixture.pt")
    assert read.means.device == torch.device("cpu")
    for a, b in zip(read.tensors(), mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=0, atol=0)


def test_kmeans_finds_what_it_finds_on_the_cpu():
    x = blobs(500, 6)
    fits = [
        gmm.kmeans(t, 3, n_init=4, generator=torch.Generator().manual_seed(0))
        for t in (x, x.to(DEVICE))
    ]
    torch.testing.assert_close(fits[1].centers.cpu(), fits[0].centers, rtol=1e-9, atol=0)
    assert torch.equal(fits[1].n_iter.cpu(), fits[0].n_iter)


@pytest.mark.parametrize("command", ["cluster", "classify"])
def test_the_commands_find_what_they_find_on_the_cpu(
    command, composed, tmp_path, faces_csv, monkeypatch
):
    from gmm.classify import classify
    from gmm.cluster import cluster
    from gmm.faces import classify_report, cluster_report

    ends = []
    for report in (classify_report, cluster_report):
        monkeypatch.setattr(report, "_draw", lambda *_: None)
    for device in ("cpu", DEVICE):
        folder = tmp_path / f"{command}_{device}_{len(ends)}"
        folder.mkdir()
        given = ["data=fer2013", f"data.path={faces_csv}", "data.cache_dir=null"]
        given += [f"device={device}", "mixture.max_iter=5"]
        given += ["mixture.n_components=[2,3]"] if command == "classify" else []
        job = {"cluster": cluster, "classify": classify}[command]
        job(composed(f"gmm/{command}", *given), folder, given)
        ends.append(json.loads((folder / "summary.json").read_text()))
    numbers = [_numbers(end) for end in ends]
    assert ends[1]["device"].startswith(DEVICE)
    assert numbers[0].keys() == numbers[1].keys()
    for name, value in numbers[0].items():
        assert numbers[1][name] == pytest.approx(value, rel=1e-3, abs=1e-3), name


def _numbers(thing, name=""):
    """All numbers at any depth of a summary, but for times and versions."""
    if isinstance(thing, dict):
        parts = thing.items()
    elif isinstance(thing, list):
        parts = enumerate(thing)
    else:
        is_number = isinstance(thing, int | float) and not isinstance(thing, bool)
        return {name: thing} if is_number else {}
    found = {}
    for key, part in parts:
        if "seconds" not in str(key) and key != "versions":
            found |= _numbers(part, f"{name}.{key}")
    return found
