import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, log_loss

from fer_lightning.data.faces import CLASSES, Faces, FaceSplits
from fer_lightning.data.loading import LoadedFaces
from fer_lightning.evaluation.measuring import measure
from fer_lightning.evaluation.output import evaluation_figures
from fer_lightning.evaluation.stored_runs import DataSet
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier


def faces_of(n, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 1, 48, 48), generator=generator, dtype=torch.uint8)
    labels = torch.randint(7, (n,), generator=generator)
    return Faces(images, labels, torch.full((n,), -1), torch.arange(n))


@pytest.fixture
def data():
    splits = FaceSplits(*(faces_of(60, seed) for seed in range(3)))
    return DataSet("drawn", LoadedFaces(splits, splits, {}), "0")


@pytest.fixture
def model():
    torch.manual_seed(5)
    return ExpressionClassifier(MLP([20]))


def scores_of(model, faces):
    with torch.no_grad():
        return model(faces.images).double().softmax(-1)


@pytest.mark.parametrize("split", ["val", "test"])
def test_measures_are_those_of_scikit_learn_and_of_counting(model, data, split):
    faces = getattr(data.splits, split)
    proba, labels = scores_of(model, faces), faces.labels
    threshold = float(proba.amax(-1).median()) + 1e-4
    found = measure(model, data, split, threshold).figures()
    right = (proba.argmax(-1) == labels).numpy()
    below = (proba.amax(-1) < threshold).numpy()
    assert found["ce"] == pytest.approx(log_loss(labels, proba, labels=range(7)))
    assert found["acc"] == pytest.approx(right.mean())
    for name, part in (("uncertain", right[below]), ("certain", right[~below])):
        assert found[name]["n"] == len(part)
        assert found[name]["acc"] == pytest.approx(part.mean())
    assert 0 < found["uncertain"]["n"] < 60
    matrix = confusion_matrix(labels, proba.argmax(-1), labels=range(7))
    assert found["confusion"] == matrix.tolist()
    assert list(found["classes"]) == list(CLASSES)
    order = np.argsort(-proba.amax(-1).numpy())
    risks = [1 - right[order[:n]].mean() for n in range(1, 61)]
    assert found["aurc"] == pytest.approx(np.mean(risks))


def test_the_temperature_is_fitted_on_the_validation_faces_alone(model, data):
    found = measure(model, data, "test", 0.3)
    proba, labels = scores_of(model, data.splits.val), data.splits.val.labels

    def loss(temperature):
        return log_loss(labels, (proba.log() / temperature).softmax(-1), labels=range(7))

    grid = np.geomspace(found.temperature / 2, found.temperature * 2, 201)
    assert min(map(loss, grid)) == pytest.approx(loss(found.temperature), abs=1e-9)
    test = scores_of(model, data.splits.test)
    calibrated = (test.log() / found.temperature).softmax(-1)
    expected = log_loss(data.splits.test.labels, calibrated, labels=range(7))
    assert found.figures()["calibrated"]["nll"] == pytest.approx(expected)


def test_no_face_below_the_threshold_has_no_accuracy(model, data):
    found = measure(model, data, "test", 0.01).figures()
    assert found["uncertain"] == {"n": 0, "acc": None, "acc_interval": None}
    assert found["certain"]["n"] == 60


def test_all_pictures_can_be_drawn(model, data, saved):
    found = measure(model, data, "test", 0.99)
    figures = evaluation_figures(found, model, "test")
    names = {"uncertain", "mistakes", "confusion", "reliability", "risk_coverage", "first_layer"}
    assert set(figures) == names
    for figure in figures.values():
        saved(figure)


def test_the_curve_shows_the_risk_above_the_threshold(model, data, saved):
    confidence = scores_of(model, data.splits.test).amax(-1).sort(descending=True).values
    threshold = float(confidence[14])  # fifteen faces reach it
    found = measure(model, data, "test", threshold)
    (axes,) = saved(evaluation_figures(found, model, "test")["risk_coverage"]).axes
    curve, _, point = axes.lines
    np.testing.assert_allclose(curve.get_ydata(), found.curve.risk)
    assert np.ravel(point.get_data()) == pytest.approx([0.25, float(found.curve.risk[14])])
