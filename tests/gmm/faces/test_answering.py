"""What a stored mixture per class says of faces, against the run's own figures."""

import csv

import numpy as np
import pytest

from fer_lightning.data import CLASSES, Synthetic, load
from fer_lightning.errors import InputError
from fer_lightning.files import read_json
from gmm.faces.answering import answers_of


@pytest.mark.parametrize("features", ["pixels", "pca"])
def test_a_stored_classifier_answers_as_its_run_was_measured(shell, tmp_path, features):
    run = tmp_path / "run"
    settings = (f"features={features}", "n_features=10", "mixture.n_components=[1,2]")
    words = (*settings, "classes=all", "mixture.max_iter=5", f"hydra.run.dir={run}")
    shell("gmm.classify", *words).check_returncode()
    faces = load(Synthetic(), None).test
    found = answers_of(str(run))(faces.images[:, 0].numpy())
    np.testing.assert_allclose(found.sum(1), 1)
    wrong = (found.argmax(1) != faces.labels.numpy()).mean()
    summary = read_json(run / "summary.json")
    assert wrong == pytest.approx(summary["best"]["test"], abs=1e-9)
    with (run / "error.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    confidence = found.max(1).mean()
    told = summary["calibration"]["test_scaled"]["mean_confidence"]
    assert confidence == pytest.approx(told, abs=1e-4)


def test_classes_that_the_run_does_not_know_have_no_probability(shell, tmp_path):
    run = tmp_path / "run"
    words = ("classes=[anger,happy]", "mixture.n_components=[1]", "mixture.max_iter=3")
    shell("gmm.classify", *words, f"hydra.run.dir={run}").check_returncode()
    found = answers_of(str(run))(np.zeros((2, 48, 48), np.uint8))
    known = [CLASSES.index("anger"), CLASSES.index("happy")]
    np.testing.assert_allclose(found[:, known].sum(1), 1)
    np.testing.assert_allclose(found.sum(1), 1)


def test_a_clustering_answers_nothing(shell, tmp_path):
    run = tmp_path / "run"
    words = ("mixture.n_components=2", "mixture.max_iter=3", f"hydra.run.dir={run}")
    shell("gmm.cluster", *words).check_returncode()
    with pytest.raises(InputError, match=r"must be the folder of a run of gmm\.classify"):
        answers_of(str(run))
