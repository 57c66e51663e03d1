"""What a run of the mixtures leaves in its folder, and a sweep of them in its table."""

import functools
import operator
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from matplotlib.figure import Figure
from omegaconf import DictConfig
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from fer_lightning.files import GrowingFiles, whole_file, write_json, write_table
from fer_lightning.plots import pixels
from fer_lightning.runs import (
    commit,
    data_facts,
    ending,
    flat_settings,
    swept_keys,
    swept_runs,
    versions,
    write_runs,
)
from gmm.faces.face_points import FacePoints
from gmm.faces.features import PrincipalComponents


class RunFolder:
    """The folder of a run, written to once the work is done; a context manager.

    Its end closes the file for TensorBoard.

    Args:
        path: The folder, which exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        GrowingFiles(path, ("events.out.tfevents.*",)).remove()  # of a run that was cut off
        self._board = SummaryWriter(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._board.close()

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a table as <name>.csv."""
        write_table(self.path / f"{name}.csv", columns, rows)

    def figure(self, name: str, figure: Figure) -> None:
        """Write a figure as <name>.png, and the same picture for TensorBoard."""
        picture = pixels(figure)
        with whole_file(self.path / f"{name}.png") as part:
            Image.fromarray(picture).save(part, format="png")
        self._board.add_image(name, picture, dataformats="HWC")

    def curve(self, tag: str, values: Iterable[float], steps: Iterable[int]) -> None:
        """Write a curve for TensorBoard."""
        for value, step in zip(values, steps, strict=True):
            self._board.add_scalar(tag, value, step)

    def summary(
        self,
        results: dict[str, Any],
        config: DictConfig,
        overrides: list[str],
        faces: FacePoints,
        started: float,
    ) -> None:
        """Write summary.json, and the basis of the features if they have one.

        Args:
            results: What the run found.
            config: The run's configuration.
            overrides: What the user changed in it.
            faces: What it worked on.
            started: When it began, by `time.perf_counter`.
        """
        features: dict[str, Any] = {"name": config.features}
        if isinstance(faces.features, PrincipalComponents):
            with whole_file(self.path / "features.npz") as part:
                faces.features.save(part)
            features |= {"n": config.n_features, "explained": faces.features.explained}
        facts = {
            "seconds": round(time.perf_counter() - started, 3),
            "seed": config.seed,
            "overrides": overrides,
            "settings": flat_settings(config),
            "features": features,
            "data": data_facts(faces.source, faces.splits),
            "device": str(faces.device),
            "versions": versions(),
            "commit": commit(),
        }
        write_json(self.path / "summary.json", {**results, **facts})


# The columns, and where in summary.json they stand.
CLUSTER = {
    "train_log_likelihood": "model.log_likelihood.train",
    "val_log_likelihood": "model.log_likelihood.val",
    "test_log_likelihood": "model.log_likelihood.test",
    "bic": "model.bic",
    "purity": "clusters.purity",
    "adjusted_rand": "clusters.adjusted_rand",
    "seconds": "seconds",
}
CLASSIFY = {
    "best_n_components": "best.n_components",
    "train_error": "best.train",
    "val_error": "best.val",
    "test_error": "best.test",
    "seconds": "seconds",
}


def write_sweep_table(columns: Mapping[str, str], folder: Path) -> None:
    """Write `summary.csv` of a sweep: swept keys and results of each run, empty if it failed."""
    rows = []
    for run in swept_runs(folder):
        row: dict[str, Any] = {
            "run": run.folder.name,
            **run.swept,
            "status": "done" if run.summary else ending(run.folder),
        }
        if run.summary:
            for column, place in columns.items():
                row[column] = functools.reduce(operator.getitem, place.split("."), run.summary)
        rows.append(row)
    write_runs(folder / "summary.csv", swept_keys(folder), list(columns), rows)
