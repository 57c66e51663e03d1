import json
import math
import sys

import numpy as np
import pytest
import torch
from torch import nn

from fer_lightning.data import CLASSES, Faces
from fer_lightning.errors import InputError
from fer_lightning.evaluation.saliency import blurred, log_odds, saliency
from fer_lightning.evaluation.saliency_sheets import saliency_figures
from fer_lightning.networks import CNN, MLP, VGG, ResNet
from fer_lightning.plots import Legend, MappedFace, map_sheet
from fer_lightning.training import ExpressionClassifier, Predictions

STARTS = range(0, 43, 2)  # of the windows of 6 x 6 pixels in a face of 48 x 48


def blurred_by_hand(face):
    """A face, (48, 48), after a Gaussian of 4 pixels that is cut off after 16."""
    weights = np.exp(-(np.arange(-16, 17) ** 2) / (2 * 4**2))
    weights /= weights.sum()
    for _ in range(2):
        wide = np.pad(face, ((0, 0), (16, 16)), mode="edge")
        face = np.array([np.convolve(row, weights, "valid") for row in wide]).T
    return face


def mean_over_windows(effect):
    """The mean of the effects of all windows over each pixel; (48, 48) of each window's pixels."""
    total, n = np.zeros((48, 48)), np.zeros((48, 48))
    for i in STARTS:
        for j in STARTS:
            total[i : i + 6, j : j + 6] += effect(slice(i, i + 6), slice(j, j + 6))
            n[i : i + 6, j : j + 6] += 1
    return total / n


class OneClass(nn.Module):
    """A network whose logit of one class is a function of the face; the others are 0."""

    def __init__(self, function, label=3):
        super().__init__()
        self.function, self.label = function, label

    def forward(self, images):
        logits = images.new_zeros(len(images), 7)
        logits[:, self.label] = self.function(images[:, 0])
        return logits


def classifier(function, **settings):
    return ExpressionClassifier(OneClass(function), **settings).eval()


def test_the_map_of_a_linear_network_is_that_of_its_weights():
    rng = np.random.default_rng(0)
    weights, face = rng.normal(size=(48, 48)), rng.random((48, 48))
    lost = weights * (face - blurred_by_hand(face)) / math.log(2)  # of the log-odds, in bits
    expected = mean_over_windows(lambda *window: lost[window].sum())

    model = classifier(lambda images: (images * torch.from_numpy(weights)).sum((-1, -2)))
    shown = torch.from_numpy(face)[None]
    found = saliency(model, shown, [3])
    assert found.shape == (1, 48, 48)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


def test_only_windows_over_the_pixel_that_a_network_looks_at_count():
    face = torch.zeros(1, 48, 48)
    face[0, 20, 31] = 1
    model = classifier(lambda images: 10.0 * (images[:, 20, 31] > 0.5))  # a step has no gradient
    found = saliency(model, face, [3, 5])
    bits = 10 / math.log(2)

    def effect(rows, columns):
        inside = rows.start <= 20 < rows.stop and columns.start <= 31 < columns.stop
        return bits * inside

    np.testing.assert_allclose(found[0], mean_over_windows(effect), rtol=1e-5, atol=1e-9)
    assert found[0, 20, 31].item() == pytest.approx(bits)
    against = math.log2(math.exp(10) + 5) - math.log2(6)  # what its logit takes from another class
    assert found[1, 20, 31].item() == pytest.approx(-against)


def test_all_views_and_smoothing_are_looked_through():
    face = torch.zeros(1, 48, 48)
    face[0, 20, 31] = 1
    plain, mirrored = (
        saliency(classifier(lambda images: images[:, 20, 31], tta=tta), face, [3])[0]
        for tta in (None, "flip")
    )
    p = (math.e / (math.e + 6) + 1 / 7) / 2  # the mirrored face is dark at that pixel
    bits = math.log2(p / (1 - p)) - math.log2(1 / 6)
    assert mirrored[20, 31].item() == pytest.approx(bits, rel=0.03)
    assert plain[20, 31].item() == pytest.approx(1 / math.log(2), rel=0.03)
    smooth = saliency(classifier(lambda images: images[:, 20, 31], smooth=True), face, [3])[0]
    assert smooth[20, 31] == pytest.approx(plain[20, 31].item() * (6 / 8) ** 2, rel=0.05)


def test_log_odds_do_not_end_where_a_network_is_certain():
    logits = torch.tensor([[1000.0, 0, 0, 0, 0, 0, 0], [0.5] * 7])
    found = log_odds(logits + 5)
    assert found[0, 0].item() == pytest.approx((1000 - math.log(6)) / math.log(2))
    assert found[1].tolist() == pytest.approx([-math.log2(6)] * 7)


SMALL = {
    "mlp": lambda: MLP([4]),
    "mlp of 16": lambda: MLP([4], image_size=16),
    "cnn of 100": lambda: CNN([2], image_size=100),
    "resnet": lambda: ResNet(4, [4, 4], [1, 1]),
    "vgg": lambda: VGG([4, 4], [8]),
}


@pytest.mark.parametrize("network", SMALL.values(), ids=SMALL)
def test_every_network_and_size_of_faces_has_maps(network):
    torch.manual_seed(0)
    model = ExpressionClassifier(network()).eval()
    side = model.settings.get("image_size", 48)
    face = torch.rand(1, side, side)
    found = saliency(model, face, [0, 6])
    assert found.shape == (2, side, side)
    assert found.isfinite().all()
    assert (found != 0).any()
    assert blurred(face).shape == face.shape


@pytest.fixture
def predictions():
    """Fourteen faces of which a network of one class has some right; none of disgust."""
    rng = np.random.default_rng(3)
    images = torch.from_numpy(rng.integers(0, 256, (14, 1, 48, 48), dtype=np.uint8))
    labels = torch.arange(14) % 7
    answers = labels.clone()
    answers[1], answers[8], answers[9] = 3, 4, 0
    sure = torch.linspace(3, 1, 14).double()
    logits = torch.zeros(14, 7).double()
    logits[torch.arange(14), answers] = sure
    return Predictions(
        Faces(images, labels, torch.full((14,), -1), torch.arange(100, 114)), logits.log_softmax(-1)
    )


def pictures(figure):
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


def test_sheets_show_the_surest_mistakes_and_right_answers(predictions, saved, texts):
    model = classifier(lambda images: images.mean((-1, -2)))
    figures = saliency_figures(model, predictions)
    assert list(figures) == ["saliency_mistakes", "saliency_typical"]
    mistakes, typical = (texts(saved(figure)) for figure in figures.values())
    ends = ["speaks against the class", "speaks for the class"]
    assert [text for text in mistakes if text.startswith("speaks")] == ends
    p = [f"{value:.3f}" for value in predictions.confidence]
    title = "The mistakes, surest first: what speaks for the predicted and for the true class"
    assert title in mistakes
    shown = [text for text in mistakes if text.startswith(("#", "for "))]
    assert shown == [
        f"#101: {p[1]}\ndisgust → happy", "for happy", "for disgust",
        f"#108: {p[8]}\ndisgust → sad", "for sad", "for disgust",
        f"#109: {p[9]}\nfear → anger", "for anger", "for fear",
    ]  # fmt: skip
    rights = [row for label in range(7) for row in (label, label + 7) if row not in (1, 8, 9)]
    faces = [
        text for row in rights for text in (f"#{100 + row}: {p[row]}", f"for {CLASSES[row % 7]}")
    ]
    assert [text for text in typical if text.startswith(("#", "for "))] == faces
    assert "disgust:\nnone is right" in typical
    assert any("6 x 6 pixels" in text for text in typical)

    face, *maps = pictures(figures["saliency_mistakes"])[:3]
    image = predictions.faces.images[1, 0].numpy() / 255
    np.testing.assert_allclose(face[::2, ::2, 0], image, atol=1e-6)
    assert len(pictures(figures["saliency_mistakes"])) == 9
    # What blurring takes from the class that the network looks for, it gives to the other.
    red, blue = (tile[..., 0] - tile[..., 2] for tile in maps)
    assert np.corrcoef(red.ravel(), blue.ravel())[0, 1] < -0.9


def test_colours_are_by_one_scale_from_against_to_for(predictions, saved):
    pixel = {"value": 0.0}
    model = classifier(lambda images: pixel["value"] * images[:, 20, 31])
    predictions.faces.images[:] = 128
    predictions.faces.images[:, 0, 20, 31] = 255
    for sign, strongest in ((8.0, "orange"), (-8.0, "blue")):
        pixel["value"] = sign
        figure = saved(saliency_figures(model, predictions)["saliency_mistakes"])
        tile = pictures(figure)[1][40, 62]  # for happy, at the pixel
        assert (tile[0] > tile[2]) == (strongest == "orange")
        scale = figure.axes[1]
        left, _, middle, _, right = [text.get_text() for text in scale.get_xticklabels()]
        assert (left[0], middle, right[0]) == ("\N{MULTIPLICATION SIGN}", "the same", "÷")
        assert left[1:] == right[1:]
        assert scale.get_xticks().tolist() == pytest.approx(
            [s * math.log2(float(right[1:])) for s in (-1, -0.5, 0, 0.5, 1)], rel=0.01
        )


def test_half_of_the_scale_is_half_of_the_colour_over_the_pale_face(saved):
    face = torch.zeros(48, 48)
    face[:, 24:] = 1
    values = torch.full((1, 48, 48), 1.0)
    values[0, 24:] = -9.0  # beyond the scale
    legend = Legend(2.0, {0.0: "0"}, ("l", "m", "r"))
    figure = saved(map_sheet("T", "N", [("", [MappedFace(face, values, ["f", "m"])])], legend))
    tile = pictures(figure)[1]
    half = (np.array([213, 94, 0]) / 255 + 1) / 2  # between vermilion, #D55E00, and white
    np.testing.assert_allclose(tile[10, -5], half, atol=0.01)
    np.testing.assert_allclose(tile[-5, -5], np.array([0, 114, 178]) / 255, atol=0.01)
    shade = tile[10, 5] / half
    assert np.ptp(shade) < 0.01
    assert 0.5 < shade.mean() < 0.8
    first, second = (image.get_extent() for image in figure.axes[0].images)
    assert first[0] < first[1] < second[0] < second[1]
    assert first[2:] == second[2:]


def test_faces_are_explained_as_the_network_is_shown_them(predictions, monkeypatch):
    seen = []
    model = classifier(lambda images: seen.append(images.clone()) or images.mean((-1, -2)))
    model.contrast = "equalise"
    saliency_figures(model, predictions)
    ranks = predictions.faces.images[1, 0].numpy()
    face = seen[0][0].numpy()
    assert face.min() == 0
    assert face.max() == 1
    order = np.argsort(ranks.ravel(), kind="stable")
    assert (np.diff(face.ravel()[order]) >= 0).all()
    assert not np.allclose(face, ranks / 255, atol=1e-3)


def test_sheets_without_faces_are_left_out(predictions):
    model = classifier(lambda images: images.mean((-1, -2)))
    faces = predictions.faces
    right = torch.nn.functional.one_hot(faces.labels, 7).double().log_softmax(-1)
    assert list(saliency_figures(model, Predictions(faces, right))) == ["saliency_typical"]
    wrong = right.roll(1, -1)
    assert list(saliency_figures(model, Predictions(faces, wrong))) == ["saliency_mistakes"]


def test_a_network_that_looks_at_nothing_has_white_maps(predictions, saved):
    figures = saliency_figures(classifier(lambda images: 0.0), predictions)
    tile = pictures(saved(figures["saliency_mistakes"]))[1]
    assert (np.ptp(tile, -1) < 0.01).all()


def test_an_evaluation_writes_the_sheets_when_asked(train_here, evaluate_here, tmp_path):
    train_here("run", "optim.lr=0.05")
    folder = tmp_path / "run" / "evaluation" / "test"
    names = {"saliency_mistakes.png", "saliency_typical.png"}
    evaluate_here(tmp_path / "run", figures=True)
    assert not names & {path.name for path in folder.iterdir()}
    evaluate_here(tmp_path / "run", settings=("explain=true",), figures=True)
    n_right = json.loads((folder / "evaluation.json").read_text())["acc"] * 7
    expected = {
        name for name, n in zip(sorted(names), (7 - n_right, n_right), strict=True) if round(n)
    }
    assert names & {path.name for path in folder.iterdir()} == expected
    events = next(folder.glob("*.tfevents.*")).read_bytes()
    assert all(name.removesuffix(".png").encode() in events for name in expected)


def test_a_missing_package_is_told_before_anything_is_read(evaluate_here, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    monkeypatch.setitem(sys.modules, "captum", None)
    told = r"^explain=true needs another package: pip install 'fer-lightning\[explain\]'$"
    with pytest.raises(InputError, match=told):
        evaluate_here(tmp_path / "no run", settings=("explain=true",))
    with pytest.raises(InputError, match="no such run"):
        evaluate_here(tmp_path / "no run")


@pytest.mark.parametrize("value", ["1", "yes please", "null"])
def test_what_is_neither_true_nor_false_is_one_line(evaluate_here, tmp_path, value):
    with pytest.raises(InputError, match=r"^explain must be true or false, got "):
        evaluate_here(tmp_path, settings=(f"explain={value}",))
