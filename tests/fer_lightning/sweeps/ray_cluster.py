"""Where the tests of sweeps on Ray are run, and what is left of it."""

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator

import pytest

TWO_WORKERS = "hydra.launcher.init.num_cpus=2"  # of a cluster on this machine
needs_ray = [
    pytest.mark.ray,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `ray`"),
]


@pytest.fixture
def ray_folder(monkeypatch) -> Iterator[str]:
    """A folder for Ray's own files, whose name is short, as it is to hold sockets."""
    folder = tempfile.mkdtemp()
    monkeypatch.setenv("RAY_TMPDIR", folder)
    yield folder
    shutil.rmtree(folder)


def on_ray(test):
    """Mark a test as one that needs Ray."""
    for mark in needs_ray:
        test = mark(test)
    return test
