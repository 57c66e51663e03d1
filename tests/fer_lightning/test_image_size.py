"""Faces of another size than 48 x 48, from a file to an evaluation."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from fer_lightning.data import EVALUATION_BATCH, cache
from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.data.sources.folder import ClassFolders
from fer_lightning.data.sources.synthetic import N_FACES, Synthetic
from fer_lightning.data.sources.tfd import Tfd
from fer_lightning.errors import InputError, SettingError
from fer_lightning.evaluation.stored_runs import load_network
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.runs.checkpoint_files import restored_network
from fer_lightning.sweeps.launching.memory import bytes_of_model
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier

SIZES = (8, 20, 50, 64)


def resampled(pixels, size):
    """The same by another way than the sources: one face after the other."""
    faces = (
        Image.fromarray(face).resize((size, size), Image.Resampling.LANCZOS) for face in pixels
    )
    return np.stack([np.asarray(face) for face in faces])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", ["csv", "folder", "npz", "mat"])
def test_every_source_gives_faces_of_the_size_that_is_asked_for(
    form, size, drawn, write_csv, write_folder, npz_arrays, mat_arrays, tmp_path
):
    if form == "csv":
        source = Fer2013(write_csv(drawn), image_size=size)
    elif form == "folder":
        source = Fer2013(write_folder(drawn), image_size=size)
    elif form == "npz":
        np.savez(tmp_path / "x.npz", **npz_arrays)
        source = Tfd(tmp_path / "x.npz", image_size=size)
    else:
        savemat(tmp_path / "x.mat", mat_arrays)
        source = Tfd(tmp_path / "x.mat", image_size=size, fold=2)
    train = source.read().train
    assert train.images.shape == (14, 1, size, size)
    expected = {face.tobytes() for face in resampled(drawn.pixels, size)}
    assert {face.numpy().tobytes() for face in train.images} <= expected


@pytest.mark.parametrize("side", [20, 64])
def test_a_csv_of_another_size_is_resampled(drawn, write_csv, side):
    pixels = resampled(drawn.pixels, side)
    rows = [
        [label, " ".join(map(str, face.ravel())), ("Training", "PublicTest", "PrivateTest")[split]]
        for face, label, split in zip(pixels, drawn.labels, drawn.splits, strict=True)
    ]
    path = write_csv(drawn, rows=rows)
    train = Fer2013(path).read().train
    rows_of_train = np.flatnonzero(drawn.splits == 0)
    np.testing.assert_array_equal(train.images[:, 0], resampled(pixels[rows_of_train], 48))
    as_is = Fer2013(path, image_size=side).read().train
    np.testing.assert_array_equal(as_is.images[:, 0], pixels[rows_of_train])


@pytest.mark.parametrize("n", [3, 49, 2303, 2305])
def test_rows_must_have_a_square_number_of_pixels(drawn, write_csv, n):
    rows = [[0, " ".join(["7"] * n), "Training"]]
    with pytest.raises(InputError, match=f"row 1 must have a square number of pixels, .* got {n}"):
        Fer2013(write_csv(drawn, rows=rows)).read()


@pytest.mark.parametrize("size", [7, 0, -48, 1025, 48.0, "48", None, True])
@pytest.mark.parametrize("make", [Synthetic, MLP, CNN])
def test_a_size_out_of_bounds_is_refused(make, size):
    with pytest.raises(SettingError, match="image_size must be an integer from 8 to 1024, got "):
        make(image_size=size)


def test_sizes_are_kept_apart_in_the_cache(drawn, write_folder, tmp_path):
    folder = write_folder(drawn)
    for size in (48, 24, 48):
        faces = cache.load(Fer2013(folder, image_size=size), tmp_path / "cache")
        assert faces.train.images.shape == (14, 1, size, size)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 2


@pytest.mark.parametrize("side", [9, 10, 13, 50])
def test_the_order_depends_on_the_last_pixel_where_the_words_are_not_whole(side):
    rng = np.random.default_rng(side)
    pixels = np.repeat(rng.integers(0, 256, (1, side, side), dtype=np.uint8), 256, 0)
    pixels[:, -1, -1] = np.arange(256)
    orders = []
    for rows in (np.arange(256), rng.permutation(256)):
        faces = Faces.from_arrays(pixels[rows], np.zeros(256))
        ordered = FaceSplits(faces, faces, faces).in_canonical_order()
        orders.append(ordered.train.images)
    assert torch.equal(*orders)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setitem(N_FACES, "train", 40)
    monkeypatch.setitem(N_FACES, "val", 20)
    monkeypatch.setitem(N_FACES, "test", 20)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("size", [16, 24, 96])
def test_the_same_people_are_drawn_at_any_size(size):
    at_48, other = Synthetic(3).read(), Synthetic(3, image_size=size).read()
    for (_, expected), (_, faces) in zip(at_48, other, strict=True):
        assert torch.equal(faces.labels, expected.labels)
        assert faces.images.shape[1:] == (1, size, size)
        a, b = (
            torch.nn.functional.adaptive_avg_pool2d(images.float(), 8).flatten(1)
            for images in (faces.images, expected.images)
        )
        nearest = torch.cdist(a, b).argmin(1)
        assert torch.equal(nearest, torch.arange(len(faces)))
        assert (a - b).abs().mean() < 3  # grey levels


@pytest.mark.parametrize(
    ("network", "n"),
    [
        (MLP([3], image_size=20), 400 * 3 + 3 + 21 + 7),
        (CNN([2, 4], 5, image_size=64), 50 + 2 + 200 + 4 + 4 * 10 * 10 * 7 + 7),  # 64, 21, 10
        (CNN([2, 4], 5, image_size=8), 50 + 2 + 200 + 4 + 4 * 7 + 7),  # 8, 2, 1
        (CNN([2] * 4, 3, image_size=8), 18 + 2 + 3 * (36 + 2) + 14 + 7),
    ],
)
def test_networks_fit_the_size(network, n):
    side = network.settings["image_size"]
    assert sum(p.numel() for p in network.parameters()) == n
    assert network(torch.zeros(2, 1, side, side)).shape == (2, 7)


def test_a_checkpoint_without_a_size_is_of_48():
    for network in (MLP([3]), CNN([2])):
        arguments = {k: v for k, v in network.settings.items() if k != "image_size"}
        stored = {"state_dict": network.state_dict(), "hyper_parameters": arguments}
        restored = restored_network(stored | {"network": type(network).__name__})
        assert restored.settings == network.settings


@pytest.mark.parametrize("engine", ["lightning", "fused"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_run_at_another_size_is_trained_and_evaluated(
    engine, model, train_here, evaluate_here, tmp_path, capsys
):
    train_here("run", f"model={model}", f"engine={engine}", "data.image_size=20", "compile=false")
    trained, _ = load_network(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert trained.settings["image_size"] == 20
    settings = json.loads((tmp_path / "run" / "summary.json").read_text())["settings"]
    assert settings["data.image_size"] == settings["model.image_size"] == 20
    evaluate_here(tmp_path / "run", figures=True)
    assert (tmp_path / "run" / "evaluation" / "test" / "first_layer.png").exists()


def test_faces_of_another_size_than_the_networks_are_refused(
    train_here, evaluate_here, csv_path, tmp_path
):
    train_here("run", "trainer.max_epochs=1", "data.image_size=20")
    faces = ("data=fer2013", f"data.path={csv_path}", "data.cache_dir=null")
    with pytest.raises(InputError, match=r"data\.image_size must be that of .*run, 20, got 48"):
        evaluate_here(tmp_path / "run", settings=faces)
    evaluate_here(tmp_path / "run", settings=(*faces, "data.image_size=20"))


def test_a_network_of_another_size_than_the_faces_is_refused(train_here):
    with pytest.raises(InputError, match=r"model\.image_size must be data\.image_size, 48, got 20"):
        train_here("run", "model.image_size=20")


def test_runs_of_different_sizes_are_not_trained_together(composed):
    from fer_lightning.fused.grouping import grouped
    from fer_lightning.runs.settings import flat_settings

    sizes = (48, 20, 48, 20)
    settings = [
        flat_settings(composed("train", f"data.image_size={n}", f"seed={i}"))
        for i, n in enumerate(sizes)
    ]
    assert [group.jobs for group in grouped(settings)] == [(0, 2), (1, 3)]


def test_pictures_of_a_folder_are_resampled(tmp_path):
    for split in ("train", "val", "test"):
        for i, name in enumerate(CLASSES):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("L", (90, 70), 30 * i).save(tmp_path / split / name / "1.png")
    test = ClassFolders(tmp_path, image_size=33).read().test
    assert test.images.shape == (7, 1, 33, 33)
    assert (test.images.flatten(1) == 30 * test.labels[:, None]).all()


@pytest.mark.parametrize("make", [MLP, CNN])
def test_what_a_network_takes_in_memory_grows_with_the_size(make):
    # a minibatch of evaluation passes on its pixels, at least, twice and in four bytes
    small, large = (
        bytes_of_model(ExpressionClassifier(make(image_size=side)), 1) for side in (20, 100)
    )
    assert large - small > 2 * 4 * EVALUATION_BATCH * (100**2 - 20**2)
