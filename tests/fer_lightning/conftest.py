"""Training in this process, and a TensorBoard server that shows what it wrote."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

# A photo with a face that everyone who has matplotlib has.
PORTRAIT = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """Rear Admiral Grace Hopper, (600, 512, 3), her face at about x 175 to 360, y 110 to 345."""
    with Image.open(PORTRAIT) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def train_here(csv_path, composed, tmp_path) -> Callable[..., float]:
    """Train on a few faces in this process; the first argument names the folder in tmp_path."""
    from fer_lightning.fused.single_run import train

    def run(name: str, *overrides: str) -> float:
        given = ["data=fer2013", f"data.path={csv_path}", "trainer.accelerator=cpu"]
        given += [
            "threads=1",
            f"data.cache_dir={tmp_path / 'cache'}",
            "trainer.max_epochs=3",
            "image_every_n_epochs=0",  # figures take longer than all else
            *overrides,
        ]
        (tmp_path / name).mkdir(exist_ok=True)
        return train(composed("train", *given), tmp_path / name, list(overrides))

    return run


@pytest.fixture
def evaluate_here(composed, tmp_path) -> Callable[..., None]:
    """Evaluate runs, by path, in this process; pictures are drawn only if asked for."""
    from fer_lightning.evaluation import output as evaluation_folder
    from fer_lightning.evaluation.job import evaluate

    def run(*runs: Path | str, settings: tuple[str, ...] = (), figures: bool = False) -> None:
        names = ",".join(f"'{path}'" for path in runs)
        output = f"output={tmp_path / 'output'}"
        with pytest.MonkeyPatch.context() as patch:
            if not figures:
                patch.setattr(evaluation_folder, "evaluation_figures", lambda *_: {})
            evaluate(composed("evaluate", f"runs=[{names}]", output, *settings))

    return run


@pytest.fixture
def tensorboard(tmp_path) -> Iterator[Callable[[], Callable[..., Any]]]:
    """Start a TensorBoard server on tmp_path, which must hold runs by then.

    What it returns asks a plugin's endpoint, again until an answer passes; `body` makes it a POST.
    """
    servers = []

    def start() -> Callable[..., Any]:
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path)]
        command += ["--host", "127.0.0.1", "--port", "0", "--load_fast", "false"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        servers.append(server)
        line = next(line for line in server.stderr if "http://127.0.0.1:" in line)
        address = "http://127.0.0.1:" + line.split("http://127.0.0.1:")[1].split("/")[0]
        return lambda *request, **options: _ask(f"{address}/data/plugin", *request, **options)

    yield start
    for server in servers:
        server.terminate()
        server.communicate(timeout=30)


def _ask(plugins: str, endpoint: str, body: Any = None, until: Callable[[Any], bool] = bool) -> Any:
    """The answer of an endpoint once it passes: TensorBoard reads runs in the background."""
    data = None if body is None else json.dumps(body).encode()
    json_sent = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{plugins}/{endpoint}", data, json_sent)
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
        if until(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
