from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from oracles import STRUCTURES, blobs, matrices, mixture_of, parameters, scipy_log_joint
from scipy.special import logsumexp, softmax

import gmm


def stacked(mixtures):
    parts = zip(*(m.tensors() for m in mixtures), strict=True)
    return gmm.Mixture(*(torch.stack(p) for p in parts), mixtures[0].covariance_type)


@pytest.mark.parametrize("name", STRUCTURES)
def test_densities_and_predictions_follow_from_scipy_log_joint(name):
    x = blobs(60, 4)
    p = parameters(x, 3, name)
    joint, mixture, points = scipy_log_joint(x, p, name), mixture_of(p, name), torch.from_numpy(x)
    np.testing.assert_allclose(mixture.score_samples(points), logsumexp(joint, -1))
    np.testing.assert_allclose(mixture.predict_proba(points), softmax(joint, -1), atol=1e-12)
    np.testing.assert_array_equal(mixture.predict(points), joint.argmax(-1))
    np.testing.assert_allclose(mixture.score(points), logsumexp(joint, -1).mean())


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize(
    ("batch", "n_shared"), [((), 0), ((1,), 0), ((1,), 1), ((2, 3), 0), ((2, 3), 1), ((2, 3), 2)]
)
def test_a_batch_evaluates_as_its_mixtures_do(name, batch, n_shared):
    x = torch.from_numpy(np.stack([blobs(20, 3, seed=s) for s in range(6)]))
    n = int(np.prod(batch))
    mixtures = [mixture_of(parameters(x[0].numpy(), 2, name, s), name) for s in range(n)]
    shared = batch[:n_shared]
    points = x[: int(np.prod(shared))].reshape(*shared, 20, 3)
    proba = stacked(mixtures).reshape(batch).predict_proba(points)
    assert proba.shape == (*batch, 20, 2)
    each = n // int(np.prod(shared))
    for i, mixture in enumerate(mixtures):
        expected = mixture.predict_proba(x[i // each])
        torch.testing.assert_close(proba.reshape(n, 20, 2)[i], expected)


@pytest.mark.parametrize("name", STRUCTURES)
def test_samples_have_the_moments_of_the_parameters(name):
    p = parameters(blobs(100, 3), 2, name)
    p["means"] = np.array([[0.0, 3, -2], [1, 1, 1]])
    x, labels = mixture_of(p, name).sample(200_000, torch.Generator().manual_seed(0))
    x, labels = x.numpy(), labels.numpy()
    np.testing.assert_allclose(np.bincount(labels) / len(labels), p["weights"], atol=5e-3)
    for k, expected in enumerate(matrices(p["covariances"], name, 2, 3)):
        np.testing.assert_allclose(x[labels == k].mean(0), p["means"][k], atol=0.05)
        np.testing.assert_allclose(np.cov(x[labels == k].T), expected, atol=0.04 * expected.max())


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(4)), st.sampled_from(STRUCTURES), st.floats(-1e4, 1e4))
def test_the_order_of_components_and_the_origin_do_not_matter(order, name, shift):
    x = blobs(30, 3)
    p = parameters(x, 4, name)
    q = {"weights": p["weights"][order], "means": p["means"][order] + shift}
    q["covariances"] = p["covariances"] if name == "tied" else p["covariances"][order]
    before = mixture_of(p, name).score_samples(torch.from_numpy(x))
    after = mixture_of(q, name).score_samples(torch.from_numpy(x + shift))
    np.testing.assert_allclose(after, before, rtol=1e-7)


def test_unused_slots_change_nothing_and_disappear_from_one_mixture():
    p = parameters(blobs(30, 3), 2, "diag")
    small = mixture_of(p, "diag")
    log_weights = torch.cat([small.log_weights, torch.tensor([-torch.inf])])
    means = torch.cat([small.means, torch.zeros(1, 3)])
    padded = gmm.Mixture(log_weights, means, torch.cat([small.covariances, torch.ones(1, 3)]))
    x = torch.from_numpy(blobs(30, 3))
    torch.testing.assert_close(padded.score_samples(x), small.score_samples(x))
    assert padded.n_parameters == small.n_parameters == 2 * 3 + 1 + 2 * 3
    assert padded.reshape((1,))[0].means.shape == (2, 3)


def test_information_criteria_weigh_likelihood_against_parameters():
    x = blobs(50, 2)
    p = parameters(x, 2, "full")
    total = logsumexp(scipy_log_joint(x, p, "full"), -1).sum()
    mixture = mixture_of(p, "full")
    n_parameters = 1 + 2 * 2 + 2 * 3
    np.testing.assert_allclose(mixture.aic(torch.from_numpy(x)), 2 * n_parameters - 2 * total)
    expected = n_parameters * np.log(50) - 2 * total
    np.testing.assert_allclose(mixture.bic(torch.from_numpy(x)), expected)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_saved_mixture_is_the_same_when_loaded(name, tmp_path):
    mixture = mixture_of(parameters(blobs(30, 3), 2, name), name)
    mixture.save(tmp_path / "model.pt")
    again = gmm.Mixture.load(tmp_path / "model.pt")
    assert again.covariance_type == name
    for a, b in zip(again.tensors(), mixture.tensors(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 broken zip"])
def test_a_file_that_is_no_model_is_named(content, tmp_path):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(gmm.ModelFileError, match=r"model\.pt must be a model file"):
        gmm.Mixture.load(tmp_path / "model.pt")


@pytest.mark.parametrize("saved", [{"format": "other"}, [1, 2], {"format": "gmm.Mixture 1"}])
def test_a_torch_file_of_something_else_is_no_model(saved, tmp_path):
    torch.save(saved, str(tmp_path / "model.pt"))
    with pytest.raises(gmm.ModelFileError):
        gmm.Mixture.load(tmp_path / "model.pt")


class Intruder:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def test_a_model_file_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": Intruder()}, "model.pt")
    with pytest.raises(gmm.ModelFileError):
        gmm.Mixture.load("model.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]


def test_shapes_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match=r"covariances must have shape \(2,\)"):
        gmm.Mixture(torch.zeros(2), torch.zeros(2, 3), torch.ones(2, 3), "spherical")
    mixture = gmm.Mixture(torch.zeros(1), torch.zeros(1, 3), torch.ones(1, 3))
    with pytest.raises(ValueError, match="x must have 3 features, got 2"):
        mixture.predict(torch.zeros(4, 2))
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        mixture.sample(0)
