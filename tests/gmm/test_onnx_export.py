"""`python -m gmm.export`: what the file of a run gives beside what lies in the run's folder."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from oracles import diagonal_log_joint
from scipy.special import logsumexp, softmax

import gmm
from fer_lightning.errors import InputError
from gmm.exporting import checking
from gmm.faces.exporting import export

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture
def export_here(composed, tmp_path, monkeypatch):
    """Export in this process; returns what runs the file, and what it says of itself."""
    monkeypatch.setattr(checking, "SECONDS", 0.01)

    def run(model, *overrides):
        path = tmp_path / "exported" / "mixture.onnx"
        export(composed("gmm/export", f"runs=['{model}']", f"out={path}", *overrides))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (taken,) = session.get_inputs()
        facts = session.get_modelmeta().custom_metadata_map
        return lambda x: session.run(None, {taken.name: x}), facts

    return run


def images_of(faces, split):
    return faces.pixels[faces.splits == split][:, None]


CLASSIFY = ("classes=[sad,happy,anger]", "mixture.max_iter=3")


def test_the_file_of_a_classifier_takes_faces(
    entry_here, export_here, smooth_faces, read_faces, capsys
):
    _, run = entry_here("classify", *CLASSIFY, "mixture.n_components=[2,4]")
    summary = json.loads((run / "summary.json").read_text())
    size = summary["best"]["n_components"]
    file, facts = export_here(run)
    joint, log_proba, label = file(images_of(smooth_faces, 2))
    mixtures, x = gmm.Mixture.load(run / "mixtures.pt"), read_faces("test")[0]
    each = [mixtures[c, [2, 4].index(size)] for c in range(3)]
    expected = np.log(summary["prior"]) + np.stack(
        [logsumexp(diagonal_log_joint(x, one), -1) for one in each], -1
    )
    np.testing.assert_allclose(joint, expected, atol=0.01)
    np.testing.assert_allclose(np.exp(log_proba), softmax(expected, -1), atol=0.01)
    np.testing.assert_array_equal(label, expected.argmax(-1))
    assert json.loads(facts["classes"]) == ["sad", "happy", "anger"]
    assert json.loads(facts["n_components"]) == [size] * 3
    assert float(facts["temperature"]) == summary["calibration"]["temperature"]
    assert facts["input"] == "images: grey levels 0..255, uint8, (N, 1, 48, 48)"
    assert (facts["features"], facts["image_size"]) == ("pixels", "48")
    told = capsys.readouterr().out
    assert "35 val faces of fer2013: greatest difference of log densities" in told
    assert "100.00% the same answers" in told
    assert "images a second one at a time" in told


def test_another_size_can_be_chosen(entry_here, export_here):
    _, run = entry_here("classify", *CLASSIFY, "mixture.n_components=[2,4]")
    for size in (2, 4):
        _, facts = export_here(run, f"n_components={size}", "input=points")
        assert json.loads(facts["n_components"]) == [size] * 3
    with pytest.raises(InputError, match="n_components must be one of 2, 4, got 3"):
        export_here(run, "n_components=3")


PCA = ("features=pca", "n_features=5", "mixture.n_components=3", "start=kmeans")


def test_the_file_of_a_clustering_has_its_features_inside(
    entry_here, export_here, smooth_faces, read_faces
):
    _, run = entry_here("cluster", *PCA)
    file, facts = export_here(run)
    log_prob, _, cluster = file(images_of(smooth_faces, 2))
    with np.load(run / "features.npz") as basis:
        x = (read_faces("test")[0] - basis["center"]) @ basis["components"].T
    joint = diagonal_log_joint(x, gmm.Mixture.load(run / "mixture.pt"))
    np.testing.assert_allclose(log_prob, logsumexp(joint, -1), atol=1e-3)
    np.testing.assert_array_equal(cluster, joint.argmax(-1))
    assert facts["features"].startswith("5 principal components")
    of_points, facts = export_here(run, "input=points")
    assert facts["input"] == "points: float32, (N, 5)"
    np.testing.assert_allclose(of_points(x.astype(np.float32))[0], log_prob, atol=1e-3)


def test_faces_that_are_no_longer_there_are_drawn(entry_here, export_here, capsys, caplog):
    _, run = entry_here("cluster", *PCA)
    summary = json.loads((run / "summary.json").read_text())
    summary["settings"]["data.path"] = str(run / "nowhere.csv")
    (run / "summary.json").write_text(json.dumps(summary))
    export_here(run)
    assert "1,000 drawn faces" in capsys.readouterr().out
    assert "nowhere.csv" in caplog.text


def test_a_lone_file_takes_points(entry_here, export_here, tmp_path, capsys):
    _, run = entry_here("cluster", *PCA)
    lone = shutil.copy(run / "mixture.pt", tmp_path / "lone.pt")
    _, facts = export_here(lone)
    assert facts["input"] == "points: float32, (N, 5)"
    assert "1,000 drawn points" in capsys.readouterr().out
    assert export_here(run / "mixture.pt")[1]["image_size"] == "48"  # which lies in its run


def test_mixtures_without_their_summary_are_refused(entry_here, export_here):
    _, run = entry_here("classify", *CLASSIFY, "mixture.n_components=2")
    (run / "summary.json").unlink()
    with pytest.raises(InputError, match=r"batch shape \(3, 1\) need the summary of their run"):
        export_here(run)


@pytest.fixture
def lone(tmp_path):
    path = tmp_path / "lone.pt"
    gmm.Mixture(torch.zeros(1), torch.zeros(1, 4), torch.ones(1, 4)).save(path)
    return path


UNKNOWN = "a mixture of which nothing says how faces become its points"
MISTAKES = {
    "out=mixture.pt2": "out must be a file that ends in .onnx, got 'mixture.pt2'",
    "out=null": "out must be a file that ends in .onnx, got None",
    "runs=[]": "runs must be one run of gmm.cluster or gmm.classify, or a model file, got []",
    "runs=[nowhere]": "no such run of gmm.cluster or gmm.classify, nor model file: nowhere",
    "input=bytes": "input must be one of images, points, or null, got 'bytes'",
    "input=images": f"input must be points for {UNKNOWN}, got 'images'",
    "data=synthetic": f"data must be null for {UNKNOWN}, got 'faces'",
    "n_components=0": "n_components must be an integer of at least 1, got 0",
    "n_components=2": "n_components must be null for a clustering, got 2",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_is_one_line(export_here, lone, tmp_path, override):
    with pytest.raises(InputError) as error:
        export_here(lone, override)
    assert str(error.value) == MISTAKES[override]
    assert not (tmp_path / "exported" / "mixture.onnx").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages_are_named(export_here, lone, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError) as error:
        export_here(lone)
    told = "ONNX files need other packages: pip install 'fer-lightning[export]'"
    assert str(error.value) == told
    assert not (tmp_path / "exported").exists()


def test_the_command_runs_in_a_shell(shell, lone):
    done = shell("gmm.export", str(lone), "out=here.onnx")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("here.onnx: ")
    wrong = shell("gmm.export", str(lone))
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "out must be a file that ends in .onnx, got None\n"
