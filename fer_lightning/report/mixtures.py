"""The runs of `python -m gmm.cluster` and `python -m gmm.classify`, as their folders tell them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fer_lightning.bounded_files import read_json, value_at
from fer_lightning.errors import InputError
from fer_lightning.report.curves import Values
from fer_lightning.report.files import number_at, numbers, read_rows
from fer_lightning.report.folders import RunFolder

TABLES = {
    "cluster": ("log_likelihood.csv", ("start", "restart", "iteration", "log_likelihood")),
    "classify": ("error.csv", ("n_components", "train", "val", "test")),
}


@dataclass(frozen=True, eq=False)
class MixtureRun:
    """A run of the mixtures.

    Attributes:
        folder: Where it is.
        status: done, failed, unfinished or damaged.
        problem: Why it is damaged, or None.
        summary: Content of `summary.json`, {} without one.
        rows: Of its table, as `TABLES` says.
    """

    folder: RunFolder
    status: str
    problem: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)

    def setting(self, key: str) -> object:
        """The value of a setting under the key that users type, or None."""
        settings = value_at(self.summary, "settings")
        return settings.get(key) if isinstance(settings, dict) else None

    @property
    def curves(self) -> dict[str, list[Values]]:
        """Of a clustering: the log-likelihoods of every restart of each start."""
        restarts: dict[tuple[str, str], list[float]] = {}
        for start, restart, _, value in self.rows:
            restarts.setdefault((start, restart), []).append(float(value))
        starts: dict[str, list[Values]] = {}
        for (start, _), values in restarts.items():
            starts.setdefault(start, []).append(np.array(values))
        return starts

    @property
    def errors(self) -> dict[str, Values]:
        """Of a classification: the columns of its table, n_components first."""
        values = np.array(self.rows, dtype=np.float64).reshape(-1, 4)
        return dict(zip(TABLES["classify"][1], values.T, strict=True))

    @property
    def tells_all_test_faces_apart(self) -> bool:
        """Whether a classification's figures are of all test faces."""
        n = number_at(self.summary, "faces", "test")
        return n is not None and n == number_at(self.summary, "data", "test")


def read_mixture_run(folder: RunFolder) -> MixtureRun:
    """What a folder tells of a run of the mixtures."""
    if not (folder.path / "summary.json").exists():
        return MixtureRun(folder, folder.ending)
    name, columns = TABLES[folder.kind]
    try:
        summary = read_json(folder.path / "summary.json")
        rows = read_rows(folder.path / name, columns)
        for row in rows:
            numbers(name, row[1:])
            if not all(row):
                raise InputError(f"{name} must have no empty cells")
        if folder.kind == "classify":
            numbers(name, [row[0] for row in rows])
    except InputError as error:
        return MixtureRun(folder, "damaged", str(error))
    return MixtureRun(folder, "done", None, summary, rows)
