"""ONNX files of mixtures beside scikit-learn and scipy."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs, mixture_of, parameters, scipy_log_joint
from scipy.special import logsumexp, softmax
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

import gmm
from gmm.exporting import ExportError, onnx_file

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def opened(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture
def exported(tmp_path):
    """Write a file; return what runs it on points, and gives its outputs by name."""

    def write(mixture, **options):
        gmm.to_onnx(mixture, tmp_path / "mixture.onnx", **options)
        session = opened(tmp_path / "mixture.onnx")
        names = [output.name for output in session.get_outputs()]
        return lambda x: dict(zip(names, session.run(names, {"points": x}), strict=True))

    return write


def as_sklearn(p, covariance_type):
    model = GaussianMixture(len(p["means"]), covariance_type=covariance_type)
    model.weights_, model.means_, model.covariances_ = p.values()
    model.precisions_cholesky_ = _compute_precision_cholesky(p["covariances"], covariance_type)
    return model


@pytest.mark.parametrize("covariance_type", STRUCTURES)
@pytest.mark.parametrize(("D", "K"), [(1, 1), (4, 3), (150, 40)])
def test_a_file_gives_what_scikit_learn_does_far_from_the_origin(exported, covariance_type, D, K):
    x = (blobs(300, D) + 3000).astype(np.float32)
    p = parameters(x.astype(float), K, covariance_type)
    found = exported(mixture_of(p, covariance_type))(x)
    assert {n: (v.shape, v.dtype) for n, v in found.items()} == {
        "log_prob": ((300,), np.float32),
        "log_responsibilities": ((300, K), np.float32),
        "cluster": ((300,), np.int64),
    }
    model, exact = as_sklearn(p, covariance_type), x.astype(float)
    tolerance = 1e-5 if D < 10 else 1e-3
    np.testing.assert_allclose(found["log_prob"], model.score_samples(exact), atol=tolerance)
    responsibilities = np.exp(found["log_responsibilities"])
    np.testing.assert_allclose(responsibilities, model.predict_proba(exact), atol=tolerance)
    np.testing.assert_array_equal(found["cluster"], model.predict(exact))


@pytest.mark.parametrize("covariance_type", ["diag", "tied"])
@pytest.mark.parametrize(("D", "K"), [(2, 3), (150, 40)])
def test_narrow_components_far_apart_keep_their_digits(exported, covariance_type, D, K):
    rng = np.random.default_rng(1)
    means = rng.normal(scale=300, size=(K, D)).astype(np.float32).astype(float)
    variance = {"diag": np.ones((K, D)), "tied": np.eye(D)}
    p = {"weights": np.full(K, 1 / K), "means": means, "covariances": variance[covariance_type]}
    x = (means[:, None] + rng.normal(size=(K, 4, D))).reshape(-1, D).astype(np.float32)
    joint = scipy_log_joint(x.astype(float), p, covariance_type)
    found = exported(mixture_of(p, covariance_type))(x)
    np.testing.assert_allclose(found["log_prob"], logsumexp(joint, -1), atol=5e-3)


FAR = [("diag", 2, 3), ("diag", 150, 40), ("tied", 2, 3), ("tied", 150, 40), ("full", 2, 3)]


@pytest.mark.parametrize(("covariance_type", "D", "K"), FAR)
def test_no_point_is_too_far_away(exported, covariance_type, D, K):
    p = parameters(blobs(200, D), K, covariance_type)
    far = np.array([1e6, 1e15, -1e25, 3e38], np.float32)
    found = exported(mixture_of(p, covariance_type))(np.repeat(far[:, None], D, 1))
    assert np.isfinite(found["log_prob"]).all()
    assert np.isfinite(found["log_responsibilities"]).all()
    np.testing.assert_allclose(np.exp(found["log_responsibilities"]).sum(-1), 1, rtol=1e-5)
    assert (np.diff(found["log_prob"][:2]) < 0).all()


def test_one_point_gives_what_it_gives_among_others(exported):
    x = blobs(50, 4).astype(np.float32)
    run = exported(mixture_of(parameters(x.astype(float), 3, "full"), "full"))
    together, alone = run(x), [run(x[i : i + 1]) for i in range(5)]
    for name, values in together.items():
        found = np.concatenate([one[name] for one in alone])
        np.testing.assert_allclose(found, values[:5], atol=1e-5)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_a_mixture_per_class_follows_bayes_rule(exported, tmp_path, covariance_type):
    x = blobs(200, 3).astype(np.float32)
    each = [parameters(x.astype(float), K, covariance_type, seed=K) for K in (2, 3, 1)]
    prior = np.array([0.7, 0.2, 0.1])
    joint = np.log(prior) + np.stack(
        [logsumexp(scipy_log_joint(x.astype(float), p, covariance_type), -1) for p in each], -1
    )
    mixtures = padded([mixture_of(p, covariance_type) for p in each])
    names = np.array(["low", "middle", "high"])
    found = exported(mixtures, log_prior=np.log(prior), classes=names)(x)
    assert list(found) == ["log_joint", "log_proba", "label"]
    np.testing.assert_allclose(found["log_joint"], joint, atol=1e-4)
    np.testing.assert_allclose(np.exp(found["log_proba"]), softmax(joint, -1), atol=1e-5)
    np.testing.assert_array_equal(found["label"], joint.argmax(-1))
    assert len(set(found["label"])) > 1  # or any label would do
    facts = opened(tmp_path / "mixture.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == ["low", "middle", "high"]
    assert json.loads(facts["n_components"]) == [2, 3, 1]


def padded(mixtures):
    """Mixtures of different K as a batch, with what stands in unused slots for a trap."""
    K = max(m.means.shape[0] for m in mixtures)

    def fill(tensors, value):
        long = [t.new_full((K, *t.shape[1:]), value) for t in tensors]
        for out, t in zip(long, tensors, strict=True):
            out[: len(t)] = t
        return torch.stack(long)

    weights, means, covariances = zip(*(m.tensors() for m in mixtures), strict=True)
    kind = mixtures[0].covariance_type
    shared = torch.stack(covariances) if kind == "tied" else fill(covariances, 0)
    return gmm.Mixture(fill(weights, -torch.inf), fill(means, 1e9), shared, kind)


def test_an_unused_slot_has_no_part(exported):
    x = blobs(50, 3).astype(np.float32)
    mixture = mixture_of(parameters(x.astype(float), 2, "diag"), "diag")
    with_slot = padded([mixture, mixture_of(parameters(x.astype(float), 3, "diag"), "diag")])
    slot = gmm.Mixture(*(t[0] for t in with_slot.tensors()), "diag")
    found, expected = exported(slot)(x), mixture.predict_proba(torch.from_numpy(x).double())
    np.testing.assert_allclose(
        np.exp(found["log_responsibilities"]), np.c_[expected, np.zeros(50)], atol=1e-5
    )


def test_the_classes_of_an_estimator_are_named_in_the_file(exported, tmp_path):
    x, y = blobs(90, 2), np.repeat([10, 20, 30], 30)
    model = gmm.MixtureClassifier(2, random_state=0).fit(x, y)
    prior = {"log_prior": model.class_log_prior_, "classes": model.classes_}
    found = exported(model.mixtures_, **prior)(x.astype(np.float32))
    facts = opened(tmp_path / "mixture.onnx").get_modelmeta().custom_metadata_map
    labels = np.array(json.loads(facts["classes"]))[found["label"]]
    np.testing.assert_array_equal(labels, model.predict(x))


def test_the_file_says_what_it_is(exported, tmp_path):
    exported(mixture_of(parameters(blobs(30, 5), 2, "tied"), "tied"))
    facts = opened(tmp_path / "mixture.onnx").get_modelmeta().custom_metadata_map
    told = {"covariance_type": "tied", "n_components": "2", "n_features": "5"}
    assert (told | {"input": "points: float32, (N, 5)"}).items() <= facts.items()
    assert "log_responsibilities" not in facts
    assert "log responsibilities, (N, K)" in facts["output"]
    assert "classes" not in facts


HALVES, TWO = torch.tensor([0.5, 0.5]).log(), torch.tensor([[0.0], [1.0]])
ONE = gmm.Mixture(HALVES, TWO, torch.ones(2, 1))
MANY = gmm.Mixture(*(torch.stack([t] * 3) for t in ONE.tensors()))
MISTAKES = {
    "log_prior must be given for mixtures of batch shape (3,)": (MANY, {}),
    "log_prior must be given with classes, got ['a']": (ONE, {"classes": ["a"]}),
    "log_prior must have a number for each of the mixtures (3,), got shape (2,)": (
        *(MANY, {"log_prior": [0.0, 0.0]}),
    ),
    "log_prior must have a number for each of the mixtures (), got shape (1,)": (
        *(ONE, {"log_prior": [0.0]}),
    ),
    "classes must be 3, got 2": (MANY, {"log_prior": [0.0] * 3, "classes": "ab"}),
    "covariances must be positive definite, got one that is not at [0, 1]": (
        gmm.Mixture(HALVES, TWO, torch.tensor([[1.0], [0.0]])),
        {},
    ),
    "means and log_weights must be numbers, got some that are not": (
        gmm.Mixture(HALVES, TWO * torch.nan, torch.ones(2, 1)),
        {},
    ),
    "covariance_type must be diag, spherical, tied or full to be exported, got factor": (
        gmm.Mixture(HALVES, TWO, torch.ones(2, 1, 2), "factor"),
        {},
    ),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_one_line(tmp_path, message):
    mixture, options = MISTAKES[message]
    with pytest.raises(ExportError) as error:
        gmm.to_onnx(mixture, tmp_path / "mixture.onnx", **options)
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


def test_a_mixture_that_no_file_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 10)
    with pytest.raises(ExportError, match=r"must fit in 2 GB, got \S+ GB of numbers"):
        gmm.to_onnx(ONE, tmp_path / "mixture.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_missing_packages_are_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError) as error:
        gmm.to_onnx(ONE, tmp_path / "mixture.onnx")
    told = "ONNX files need other packages: pip install 'fer-lightning[export]'"
    assert str(error.value) == told


def test_the_library_imports_no_package_of_onnx_before_it_is_asked():
    program = "import sys, gmm; print(sorted({'onnx', 'gmm.exporting'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
