import pytest
import torch

from fer_lightning.evaluation.calibration import reliability, reliability_diagram


def test_reliability_shows_the_share_of_right_answers_of_every_bin(saved):
    proba = torch.tensor([[0.95, 0.05], [0.94, 0.06], [0.35, 0.65]]).double()
    shown = reliability(proba.log(), torch.tensor([0, 1, 1]))
    figure = saved(reliability_diagram({"As fitted": shown}, 0.5))
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([1.0, 0.5])
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert axes.get_title(loc="left").startswith("As fitted\nECE 0.4")


def test_thousands_of_faces_are_written_short(saved, texts):
    proba = torch.tensor([[0.95, 0.05]]).double().expand(4670, 2)
    shown = reliability(proba.log(), torch.zeros(4670, dtype=torch.long))
    assert texts(saved(reliability_diagram({"As trained": shown}, 0.5))) == ["4.7k"]
