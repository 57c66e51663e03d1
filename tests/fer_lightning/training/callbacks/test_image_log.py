import io
import json
import urllib.parse

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_lightning.plots.sheets import first_layer
from fer_lightning.plots.style import pixels
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier


def images_in(folder):
    """Images of the events of a folder: from the tag to (epoch, picture)."""
    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    return {
        tag: [(event.step, decoded(event.encoded_image_string)) for event in events.Images(tag)]
        for tag in events.Tags()["images"]
    }


def decoded(png):
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"))


def epochs_of(images):
    return {tag: [epoch for epoch, _ in shown] for tag, shown in images.items()}


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        (("trainer.max_epochs=7", "image_every_n_epochs=3"), [3, 6, 7]),
        (("trainer.max_epochs=12", "image_every_n_epochs=null"), [2, 4, 6, 8, 10, 12]),
        (("trainer.max_epochs=2", "image_every_n_epochs=null"), [1, 2]),
    ],
)
def test_pictures_come_every_so_often_and_at_the_end(train_here, tmp_path, settings, epochs):
    train_here("run", "optim.lr=0.001", *settings)
    shown = epochs_of(images_in(tmp_path / "run"))
    assert shown == {"first_layer": epochs, "confusion/val": epochs, "uncertain/val": epochs[-1:]}


def test_no_pictures_are_drawn_if_there_shall_be_none(train_here, tmp_path):
    train_here("run", "image_every_n_epochs=0")
    assert images_in(tmp_path / "run") == {}


def test_the_last_picture_is_that_of_the_last_network(train_here, tmp_path):
    train_here("run", "image_every_n_epochs=2", "optim.lr=0.1")
    model = ExpressionClassifier.load_from_checkpoint(
        tmp_path / "run" / "checkpoints" / "last.ckpt"
    )
    _, (epoch, picture) = images_in(tmp_path / "run")["first_layer"]
    assert epoch == 3
    np.testing.assert_array_equal(picture, pixels(first_layer(model)))


def test_what_has_diverged_is_not_shown(train_here, tmp_path):
    settings = ["optim.lr=1e30", "trainer.max_epochs=50", "data.batch_size=14"]
    train_here("run", *settings, "image_every_n_epochs=1")
    diverged_at = json.loads((tmp_path / "run" / "summary.json").read_text())["diverged_epoch"]
    for epochs in epochs_of(images_in(tmp_path / "run")).values():
        assert max(epochs) < diverged_at


def test_pictures_do_not_change_the_curve(train_here, tmp_path):
    curves = []
    for name, every in (("with", 1), ("without", 0)):
        train_here(name, f"image_every_n_epochs={every}", "model=cnn", "optim.lr=0.05")
        rows = (tmp_path / name / "metrics.csv").read_text().splitlines()
        curves.append([row.rpartition(",")[0] for row in rows])
    assert curves[0] == curves[1]


def test_tensorboard_shows_the_pictures_of_the_run_and_of_its_evaluation(
    train_here, evaluate_here, tmp_path, tensorboard
):
    train_here("run", "image_every_n_epochs=2", "optim.lr=0.001")
    evaluate_here(tmp_path / "run", figures=True)
    ask = tensorboard()
    tags = ask("images/tags", until=lambda tags: len(tags) == 2)
    assert set(tags["run"]) == {"first_layer", "confusion/val", "uncertain/val"}
    names = {"uncertain", "mistakes", "confusion", "reliability", "risk_coverage", "first_layer"}
    assert set(tags["run/evaluation/test"]) == names
    query = urllib.parse.urlencode({"run": "run", "tag": "first_layer", "sample": 0})
    shown = ask(f"images/images?{query}")
    assert [image["step"] for image in shown] == [2, 3]
