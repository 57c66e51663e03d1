"""`python -m gmm.cluster` on faces in shards, and by several processes."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import gmm
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.errors import InputError

SETTINGS = ("mixture.n_components=3", "mixture.max_iter=6", "features=pca", "n_features=5")


@pytest.fixture
def write_shards(tmp_path, face_settings):
    """Write the training faces, in the order in which they are read, as two arrays."""
    top = tmp_path / "shards"
    faces = Fer2013(face_settings[1].removeprefix("data.path=")).read().in_canonical_order()

    def write(change=lambda pixels: pixels):
        pixels = change(faces.train.images.numpy()[:, 0])
        top.mkdir()
        np.save(top / "a.npy", pixels[:50])
        np.savez_compressed(top / "b.npz", pixels[50:])
        return top

    return write


def found(folder):
    with (folder / "log_likelihood.csv").open() as file:
        curve = [float(row["log_likelihood"]) for row in csv.DictReader(file)]
    return curve, gmm.Mixture.load(folder / "mixture.pt")


def assert_same(folder, other):
    (curve, mixture), (other_curve, other_mixture) = found(folder), found(other)
    assert curve == pytest.approx(other_curve, rel=1e-6)
    for a, b in zip(mixture.tensors(), other_mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    models = [json.loads((f / "summary.json").read_text())["model"] for f in (folder, other)]
    assert models[0].pop("weights") == pytest.approx(models[1].pop("weights"), rel=1e-5)
    for key in ("bic", "aic"):
        assert models[0][key] == pytest.approx(models[1][key], rel=1e-6)


@pytest.mark.parametrize("change", [lambda x: x, lambda x: (x / 255).astype(np.float32)])
def test_shards_of_the_training_faces_give_what_these_give(entry_here, write_shards, change):
    _, memory = entry_here("cluster", *SETTINGS)
    _, shards = entry_here("cluster", *SETTINGS, f"shards={write_shards(change)}")
    assert_same(memory, shards)


def test_scores_are_of_the_points_that_were_fitted(entry_here, write_shards):
    folder = write_shards(lambda pixels: pixels[:60])
    _, run = entry_here("cluster", *SETTINGS, f"shards={folder}")
    model = json.loads((run / "summary.json").read_text())["model"]
    n, log_likelihood = model["fitted"]["n"], model["fitted"]["log_likelihood"]
    assert n == 60
    assert log_likelihood > model["log_likelihood"]["train"]  # of 84 faces; densities are below 1
    expected = model["n_parameters"] * np.log(60) - 2 * log_likelihood
    assert model["bic"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: x[:, :40], r"shards must hold faces of 2304 pixels, got 1920"),
        (lambda x: np.where(x > 250, np.nan, x / 255), r"shards: .* must hold finite numbers"),
    ],
)
def test_shards_of_something_else_are_refused(entry_here, write_shards, change, told):
    with pytest.raises(InputError, match=told):
        entry_here("cluster", *SETTINGS, f"shards={write_shards(change)}")


def test_a_folder_without_shards_is_refused(entry_here, tmp_path):
    with pytest.raises(InputError, match=r"shards: .* must be a folder with \.npy or \.npz files"):
        entry_here("cluster", *SETTINGS, f"shards={tmp_path}")


def test_two_processes_give_what_one_gives_in_one_folder(
    entry_here, face_settings, shell, tmp_path
):
    _, alone = entry_here("cluster", *SETTINGS)
    folder = tmp_path / "two"
    done = shell(
        *("torch.distributed.run", "--nproc-per-node", "2", "-m", "gmm.cluster", "device=cpu"),
        *(*SETTINGS, *face_settings, f"hydra.run.dir={folder}"),
        new=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("iteration   6") == 1
    assert_same(alone, folder)


def test_two_processes_that_were_killed_go_on_as_two_or_as_one(
    entry_here, face_settings, shell, tmp_path
):
    settings = (*SETTINGS, "mixture.max_iter=150", "mixture.tol=0", "checkpoint_every_seconds=0")
    _, alone = entry_here("cluster", *settings)
    folder = tmp_path / "two"
    together = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "gmm.cluster")
    given = (*settings, "device=cpu", *face_settings, f"hydra.run.dir={folder}")
    killed = subprocess.Popen([sys.executable, *together, *given])
    while not (folder / "em-1.pt").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    subprocess.run(["pkill", "-KILL", "-f", str(folder)], check=True)  # torchrun and what it began
    killed.wait()
    assert not (folder / "summary.json").exists()
    shutil.copytree(folder, tmp_path / "one")
    for program, then in ((together[1:], folder), (("gmm.cluster",), tmp_path / "one")):
        done = shell(*program, f"resume={then}", new=program[0] != "gmm.cluster")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("goes on from iteration") == 1
        assert_same(alone, then)
        assert not (then / "em.pt").exists()


def test_two_processes_that_are_asked_to_stop_say_how_they_go_on(face_settings, tmp_path):
    folder = tmp_path / "two"
    together = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "gmm.cluster")
    given = (*SETTINGS, "mixture.max_iter=100000", "mixture.tol=0", "checkpoint_every_seconds=0")
    given += ("device=cpu", *face_settings, f"hydra.run.dir={folder}")
    stopped = subprocess.Popen([sys.executable, *together, *given], stderr=subprocess.PIPE)
    while not (folder / "em-1.pt").exists():
        assert stopped.poll() is None
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    _, told = stopped.communicate(timeout=60)
    line = f"go on with: torchrun --nproc-per-node 2 -m gmm.cluster resume={folder}"
    assert line in told.decode()
    assert (folder / "em.pt").exists()
