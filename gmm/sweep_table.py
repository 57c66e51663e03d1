"""The end of a sweep of mixtures: `summary.csv`, with a row for each run."""

import functools
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_lightning.run_log import ending
from fer_lightning.sweeps import swept_keys, swept_runs, write_runs

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


def write_table(columns: Mapping[str, str], folder: Path) -> None:
    """Write the swept keys and figures of a sweep's runs, empty where a run failed."""
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
