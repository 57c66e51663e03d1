import pytest
import torch

from fer_lightning.data.faces import CLASSES, Faces
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.predictions import COLUMNS, predict


@pytest.fixture
def faces():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (5, 1, 48, 48), generator=generator, dtype=torch.uint8)
    labels = torch.tensor([6, 0, 3, 3, 1])
    return Faces(images, labels, torch.full((5,), -1), torch.tensor([40, 7, 12, 9, 25]))


def test_rows_are_in_the_order_of_the_index_with_softmax_scores(faces):
    model = ExpressionClassifier(MLP())
    rows = list(predict(model, faces).rows())
    assert [row[0] for row in rows] == [7, 9, 12, 25, 40]
    assert [row[1] for row in rows] == ["anger", "happy", "happy", "disgust", "neutral"]
    with torch.no_grad():
        proba = model(faces.images[[1, 3, 2, 4, 0]]).softmax(-1)
    for row, expected in zip(rows, proba, strict=True):
        assert [float(score) for score in row[3:]] == pytest.approx(expected.tolist(), rel=1e-5)
        assert row[2] == CLASSES[expected.argmax()]
        assert len(row) == len(COLUMNS)


def test_a_network_in_training_stays_so(faces):
    model = ExpressionClassifier(MLP()).train()
    predict(model, faces)
    assert model.training
    assert all(layer.training for layer in model.modules())
