"""Make the oracles beside this file importable, and run the entries of the mixtures."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

# At the end, so that `conftest` stays the one that all tests share.
sys.path.append(str(Path(__file__).parent))

PER_CLASS = (12, 5, 5)  # faces of each class for training, validation and testing


@pytest.fixture
def smooth_faces(drawn):
    """Faces that have something of their class, in the order in which the project reads them."""
    rng = np.random.default_rng(3)
    splits = np.repeat([0, 1, 2], [7 * n for n in PER_CLASS])
    labels = np.concatenate([np.tile(np.arange(7), n) for n in PER_CLASS])
    patterns = gaussian_filter(rng.normal(size=(7, 48, 48)), (0, 5, 5))
    own = gaussian_filter(rng.normal(size=(len(labels), 48, 48)), (0, 4, 4))
    pixels = 128 + 150 * patterns[labels] + 400 * own + rng.normal(scale=5, size=own.shape)
    pixels = pixels.clip(0, 255).astype(np.uint8)
    return dataclasses.replace(drawn, pixels=pixels, labels=labels, splits=splits)


@pytest.fixture
def face_settings(smooth_faces, write_csv, tmp_path) -> list[str]:
    """What makes a command read these faces."""
    path = write_csv(smooth_faces)
    return ["data=fer2013", f"data.path={path}", f"data.cache_dir={tmp_path / 'cache'}"]


@pytest.fixture
def read_faces(smooth_faces) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Pixels in [0, 1], (N, 2304) float64, and labels of a split, (N,)."""

    def read(split: str) -> tuple[np.ndarray, np.ndarray]:
        rows = smooth_faces.splits == ("train", "val", "test").index(split)
        pixels = smooth_faces.pixels[rows].reshape(-1, 2304) / 255
        return pixels, smooth_faces.labels[rows]

    return read


@pytest.fixture
def entry_here(composed, face_settings, tmp_path, monkeypatch) -> Callable[..., tuple]:
    """Run an entry in this process; returns what it returns, and its folder.

    Figures take longer than all else, and are drawn only if asked for.
    """

    def run(name: str, *overrides: str, figures: bool = False) -> tuple[float, Path]:
        from gmm.classify import classify
        from gmm.cluster import cluster
        from gmm.faces import classify_report, cluster_report

        for report in (classify_report, cluster_report):
            if not figures:
                monkeypatch.setattr(report, "_draw", lambda *_: None)
        folder = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        folder.mkdir()
        config = composed(f"gmm/{name}", *face_settings, "device=cpu", *overrides)
        job = {"cluster": cluster, "classify": classify}[name]
        return job(config, folder, list(overrides)), folder

    return run
