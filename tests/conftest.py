"""Small face sets on disk, in every format that is read, and commands that work on them."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side, each with a core of its own
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import csv
import json
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure
from omegaconf import DictConfig
from PIL import Image

from fer_lightning.shell.configuration import CONF, project_root, register_resolvers

USAGES = ("Training", "PublicTest", "PrivateTest")
FOLDERS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a GPU where there is none."""
    need = [item for item in items if item.get_closest_marker("gpu")]
    if need:
        import torch

        from tests.gpu.device import DEVICE

        if DEVICE == "cuda" and not torch.cuda.is_available():
            for item in need:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud how many tests were left out for want of a GPU."""
    skipped = terminalreporter.stats.get("skipped", [])
    n = sum("needs a CUDA device" in str(report.longrepr) for report in skipped)
    if n:
        told = f"NO GPU: {n} tests need a CUDA device and were skipped"
        terminalreporter.write_sep("=", told, yellow=True, bold=True)


@dataclass(frozen=True)
class Drawn:
    """Faces that a test wrote: pixels (N, 48, 48), labels (N,), split 0, 1 or 2 of each (N,)."""

    pixels: np.ndarray
    labels: np.ndarray
    splits: np.ndarray


@pytest.fixture
def drawn() -> Drawn:
    """Two faces of each class in training, one each in validation and test, in a mixed order."""
    rng = np.random.default_rng(7)
    labels = np.tile(np.arange(7), 4)
    splits = np.repeat([0, 0, 1, 2], 7)
    order = rng.permutation(28)
    pixels = rng.integers(0, 256, (28, 48, 48), dtype=np.uint8)
    return Drawn(pixels, labels[order], splits[order])


@pytest.fixture
def csv_rows() -> Callable[[Drawn, list[str]], list[list[object]]]:
    """The rows of a csv file of FER2013, with its columns in an order."""
    return _csv_rows


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Write a csv file of FER2013; `header` and `rows` replace what would be written."""

    def write(drawn: Drawn, header: str = "emotion,pixels,Usage", rows: list | None = None) -> Path:
        path = tmp_path / "fer2013.csv"
        columns = [name.strip() for name in header.split(",")]
        with path.open("w", newline="") as file:
            file.write(header + "\n")
            writer = csv.writer(file)
            writer.writerows(_csv_rows(drawn, columns) if rows is None else rows)
        return path

    return write


def _csv_rows(drawn: Drawn, columns: list[str]) -> list[list[object]]:
    rows = []
    for face, label, split in zip(drawn.pixels, drawn.labels, drawn.splits, strict=True):
        pixels = " ".join(map(str, face.ravel()))
        cells = {"emotion": label, "pixels": pixels, "Usage": USAGES[split]}
        rows.append([cells[column] for column in columns])
    return rows


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[[Drawn], Path]:
    """Write the folder of FER2013, as lossless pictures."""

    def write(drawn: Drawn) -> Path:
        top = tmp_path / "fer2013"
        for i in range(len(drawn.labels)):
            split = drawn.splits[i]
            folder = top / ("train" if split == 0 else "test") / FOLDERS[drawn.labels[i]]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawn.pixels[i]).save(folder / f"{USAGES[split]}_{9 - i % 10}{i}.png")
        return top

    return write


@pytest.fixture
def zip_folder() -> Callable[[Path], Path]:
    """Pack a folder with its own name at the top, as people download it."""

    def pack(folder: Path) -> Path:
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*"), reverse=True):
                archive.write(file, file.relative_to(folder.parent))
        return path

    return pack


@pytest.fixture
def npz_arrays(drawn: Drawn) -> dict[str, np.ndarray]:
    """The arrays of toronto_face.npz."""
    arrays = {}
    for number, split in enumerate(("train", "valid", "test")):
        rows = drawn.splits == number
        arrays[f"inputs_{split}"] = drawn.pixels[rows].reshape(-1, 2304)
        arrays[f"target_{split}"] = drawn.labels[rows]
    return arrays


@pytest.fixture
def mat_arrays(drawn: Drawn) -> dict[str, np.ndarray]:
    """The arrays of TFD_48x48.mat: the faces, then five that have no label."""
    folds = np.stack([(drawn.splits + 1 + k) % 3 + 1 for k in range(5)], 1)
    rng = np.random.default_rng(1)
    unlabelled = rng.integers(0, 256, (5, 48, 48), dtype=np.uint8)
    return {
        "images": np.concatenate([drawn.pixels, unlabelled]),
        "labs_ex": np.append(drawn.labels + 1, [-1] * 5)[:, None],
        "labs_id": np.append(np.arange(28) // 2, [-1] * 5)[:, None],
        "folds": np.concatenate([folds, np.zeros((5, 5), int)]),
    }


@pytest.fixture
def csv_path(drawn, write_csv) -> Path:
    """A csv file with a few faces."""
    return write_csv(drawn)


@pytest.fixture
def composed() -> Callable[..., DictConfig]:
    """Compose a configuration of the project with overrides, as its command does."""

    def run(config_name: str, *overrides: str) -> DictConfig:
        register_resolvers()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(config_name, overrides=list(overrides))

    return run


@pytest.fixture(scope="session")
def fork(tmp_path_factory) -> Iterator[Callable[..., tuple[int, Callable[[], int]]]]:
    """Begin a command in a process that has imported PyTorch already: see command_server.py.

    Returns the id of the process, and what waits for its status.
    """
    told = tmp_path_factory.mktemp("server") / "stderr"
    program = [sys.executable, str(Path(__file__).with_name("command_server.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with told.open("w") as errors, subprocess.Popen(program, stderr=errors, **pipes) as server:

        def begin(**command: object) -> tuple[int, Callable[[], int]]:
            print(json.dumps(command), file=server.stdin, flush=True)
            return int(server.stdout.readline()), lambda: int(server.stdout.readline())

        assert (server.stdout.readline(), told.read_text()) == ("ready\n", "")
        yield begin


def _begin_new(words: list[str], folder: str, files: list[str], **_) -> tuple[int, Callable]:
    """What `fork` does, in a process that has imported nothing."""
    start = [sys.executable, *([] if words[0].endswith(".py") else ["-m"]), *words]
    with Path(files[1]).open("w") as out, Path(files[2]).open("w") as err:
        process = subprocess.Popen(
            start, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
    return process.pid, process.wait


@pytest.fixture
def shell(request, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Run a command of the project in a folder of its own, as a user would.

    A `new` process imports everything itself. `during` is called with the id of the process, which
    is killed after so many seconds.
    """

    def run(
        *command: str,
        new: bool = False,
        seconds: float = 120,
        during: Callable[[int], None] = lambda process: None,
    ) -> subprocess.CompletedProcess:
        here = tmp_path / "elsewhere"
        here.mkdir(exist_ok=True)
        words = [str(project_root() / command[0]) if command[0] == "train.py" else command[0]]
        words += command[1:]
        out, err = files = [tmp_path / name for name in ("stdout", "stderr")]
        for file in files:
            file.write_text("")
        begin = _begin_new if new else request.getfixturevalue("fork")
        process, wait = begin(
            words=words,
            folder=str(here),
            files=[os.devnull, str(out), str(err)],
            environment=dict(os.environ),
        )
        timer = threading.Timer(seconds, os.kill, (process, signal.SIGKILL))
        timer.start()
        try:
            during(process)
        except BaseException:
            os.kill(process, signal.SIGKILL)
            raise
        finally:
            status = wait()
            timer.cancel()
        return subprocess.CompletedProcess(words, status, out.read_text(), err.read_text())

    return run


@pytest.fixture
def saved(tmp_path) -> Callable[[Figure], Figure]:
    """Save a figure, which draws all of it and must not warn; return it."""

    def save(figure: Figure) -> Figure:
        figure.savefig(tmp_path / "figure.png")
        return figure

    return save


@pytest.fixture
def texts() -> Callable[[Figure], list[str]]:
    """Texts in a figure, its own and those inside its panels."""

    def read(figure: Figure) -> list[str]:
        inside = [text.get_text() for axes in figure.axes for text in axes.texts]
        return [text.get_text() for text in figure.texts] + inside

    return read
