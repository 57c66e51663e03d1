"""Several networks side by side."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from fer_lightning.evaluation.measuring import mcnemar
from fer_lightning.evaluation.output import percent
from fer_lightning.files import write_json, write_table
from fer_lightning.plots import as_text, plain_table
from fer_lightning.training import Predictions

MEASURES = {
    "n": ("n",),
    "ce": ("ce",),
    "acc": ("acc",),
    "acc_low": ("acc_interval", 0),
    "acc_high": ("acc_interval", 1),
    "uncertain": ("uncertain", "n"),
    "uncertain_acc": ("uncertain", "acc"),
    "certain_acc": ("certain", "acc"),
    "aurc": ("aurc",),
    "ece": ("calibration", "ece"),
    "brier": ("calibration", "brier"),
    "temperature": ("temperature",),
    "calibrated_ece": ("calibrated", "ece"),
    "calibrated_nll": ("calibrated", "nll"),
    "calibrated_brier": ("calibrated", "brier"),
}
MOST_PAIRS = 15  # on the terminal


@dataclass(frozen=True, eq=False)
class Compared:
    """One of several networks that are compared.

    Attributes:
        run: Name of its run in the comparison.
        facts: The content of its evaluation.json.
        right: Whether it classifies each face correctly, (N,), bool.
        faces: Hash of the faces and their classes, in their order.
    """

    run: str
    facts: dict[str, Any]
    right: Tensor
    faces: str

    @classmethod
    def of(cls, run: str, facts: dict[str, Any], predictions: Predictions) -> "Compared":
        """Return what a comparison needs to know of an evaluated network."""
        digest = hashlib.sha256(predictions.faces.images.numpy().data)
        digest.update(predictions.faces.labels.numpy().data)
        return cls(run, facts, predictions.right, digest.hexdigest())

    def row(self) -> dict[str, Any]:
        """Return the row of comparison.csv for this network."""
        told = {key: self.facts[key] for key in ("checkpoint", "epoch", "split")}
        found = {name: _value(self.facts, path) for name, path in MEASURES.items()}
        return {"run": self.run, **told, "data": self.facts["data"]["name"], **found}


def _value(facts: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        facts = facts[key]
    return facts


def paired_tests(networks: list[Compared]) -> list[dict[str, Any]]:
    """Return McNemar's test for each pair of networks that were shown the same faces."""
    return [
        {"first": a.run, "second": b.run, **asdict(mcnemar(a.right, b.right))}
        for a, b in itertools.combinations(networks, 2)
        if a.faces == b.faces
    ]


def write_comparison(folder: Path, networks: list[Compared], pairs: list[dict[str, Any]]) -> None:
    """Write comparison.csv, a row for each network, and comparison.json, with the tests too."""
    rows = [network.row() for network in networks]
    write_table(folder / "comparison.csv", list(rows[0]), [list(row.values()) for row in rows])
    content = {"runs": rows, "mcnemar": {"method": "exact binomial, two-sided", "pairs": pairs}}
    write_json(folder / "comparison.json", content)


def comparison_text(networks: list[Compared], pairs: list[dict[str, Any]]) -> str:
    """Return a table of the measures of all networks, and one of the pairwise tests, as text."""
    columns = ("run", "acc", "95 % interval", "ce", "uncertain", "AURC", "ECE", "ECE, scaled")
    table = plain_table(*columns)
    names = short_names([network.run for network in networks])
    for row in (network.row() for network in networks):
        table.add_row(
            names[row["run"]],
            percent(row["acc"]),
            f"{percent(row['acc_low'])} to {percent(row['acc_high'])}",
            f"{row['ce']:.4f}",
            percent(row["uncertain"] / row["n"]),
            *(f"{row[name]:.4f}" for name in ("aurc", "ece", "calibrated_ece")),
        )
    return f"{as_text(table, None)}\n{_pair_text(names, pairs)}"


def short_names(runs: Sequence[str]) -> dict[str, str]:
    """Return short names of runs: without the settings that all share, if they still differ."""
    parts = {run: run.split("_") for run in runs}
    shared = set.intersection(*map(set, parts.values()))
    short = {run: "_".join(p for p in parts[run] if p not in shared) for run in runs}
    differ = len(set(short.values())) == len(short) and all(short.values())
    return short if differ else {run: run for run in runs}


def _pair_text(names: dict[str, str], pairs: list[dict[str, Any]]) -> str:
    n_all = len(names) * (len(names) - 1) // 2
    lines = []
    if len(pairs) < n_all:
        different = n_all - len(pairs)
        lines.append(f"{different} of {n_all} pairs were shown different faces: not tested")
    table = plain_table("McNemar's test, exact", "", "only first right", "only second", "p")
    for pair in pairs[:MOST_PAIRS]:
        counts = [f"{pair[key]:,}" for key in ("only_first", "only_second")]
        table.add_row(names[pair["first"]], names[pair["second"]], *counts, f"{pair['p']:.3g}")
    if pairs:
        lines.append(as_text(table, None))
    if len(pairs) > MOST_PAIRS:
        lines.append(f"{MOST_PAIRS} of {len(pairs)} pairs; comparison.json has all")
    return "\n".join(lines)
