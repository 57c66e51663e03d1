"""The end of a sweep of networks: its runs by validation accuracy, shown and in summary.csv."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer_lightning.errors import InputError
from fer_lightning.plots import as_text, cell, plain_table
from fer_lightning.runs import (
    SweptRun,
    ending,
    read_curves,
    status_of,
    sweeper_settings,
    swept_keys,
    swept_runs,
    write_runs,
)
from fer_lightning.sweeps.searching.objectives import DIRECTIONS, pareto, values_of

STATUSES = ("done", "stopped", "diverged", "unfinished", "failed")
FIGURES = (
    *("train_ce", "train_acc", "val_ce", "val_acc", "best_epoch"),
    *("last_val_ce", "last_val_acc", "epochs", "seconds"),
)
# Those that are objectives of searches.
COLUMN_OF = {"val/acc": "val_acc", "val/ce": "val_ce", "epochs": "epochs", "seconds": "seconds"}
REPEATS = ("seed", "data.seed", "data.fold", "data.cv_fold")

Row = dict[str, Any]


def rank(folder: Path) -> None:
    """Print the ranking of a sweep's runs, and write it to `summary.csv` in its folder."""
    keys, runs = swept_keys(folder), swept_runs(folder)
    objectives = sweeper_settings(folder).get("objectives") or []
    others = [name for name in objectives if name not in COLUMN_OF]
    others += ["pareto"] * (len(objectives) > 1)
    rows = searched(runs, objectives) if objectives else ranking(runs)
    write_runs(folder / "summary.csv", keys, [*FIGURES, *others], rows)
    told = " and ".join(COLUMN_OF.get(name, name).replace("_", " ") for name in objectives)
    print(f"\n{folder}, by {told or 'validation accuracy'} of the best epoch")
    print(ranking_table([*keys, *others], rows), flush=True)
    if any(key in REPEATS for key in keys) and not objectives:
        repeats = " and ".join(key for key in keys if key in REPEATS)
        print(f"\nmean and standard deviation over {repeats}")
        print(repeats_table(keys, rows), flush=True)


def ranking(runs: Sequence[SweptRun]) -> list[Row]:
    """Return a row per run: the best first, and last those that were not done, by their status.

    Each row has `run` (the name of its folder), the swept keys, `status`, and `FIGURES`: those of
    the best epoch by validation accuracy, and of the last; None where one does not exist. For a run
    that was cut off they come from its validation so far.
    """
    return sorted(map(_row, runs), key=_rank)


def searched(runs: Sequence[SweptRun], objectives: Sequence[str]) -> list[Row]:
    """Return the rows of a search: by status, then the Pareto front, then by the first objective.

    Of runs that are equally good, the first comes first, as in optuna. Rows have a column for each
    objective that is none of `FIGURES`, and `pareto`, yes or no, where there are several.

    Args:
        runs: The runs.
        objectives: Names of the objectives.
    """
    done = [run for run in runs if run.summary and status_of(run.summary) == "done"]
    values = {id(run): values_of(run.summary or {}, objectives) for run in done}
    front = dict(zip(values, pareto(list(values.values()), objectives), strict=True))
    sign = -1 if DIRECTIONS[objectives[0]] == "maximize" else 1

    def place(run: SweptRun) -> tuple[object, ...]:
        if id(run) not in values:
            return (*_rank(_row(run)), run.number)
        behind = not front[id(run)] and len(objectives) > 1
        return 0, behind, sign * values[id(run)][0], run.number

    return [_searched(run, objectives, front.get(id(run))) for run in sorted(runs, key=place)]


def _searched(run: SweptRun, objectives: Sequence[str], is_in_front: bool | None) -> Row:
    row, summary = _row(run), run.summary or {}
    row |= {name: summary.get(name) for name in objectives if name not in COLUMN_OF}
    return row | ({"pareto": "yes" if is_in_front else "no"} if len(objectives) > 1 else {})


def ranking_table(keys: Sequence[str], rows: Sequence[Row]) -> str:
    """Return the rows as a text table for the terminal, with runs by number."""
    figures = ("train ce", "train acc", "val ce", "val acc", "epoch", "last val acc", "seconds")
    table = plain_table("run", *keys, *figures, "status")
    for row in rows:
        table.add_row(
            row["run"].partition("_")[0],
            *("" if row[key] is None else str(row[key]) for key in keys),
            cell(row["train_ce"], ".4f"),
            cell(row["train_acc"], ".2%"),
            cell(row["val_ce"], ".4f"),
            cell(row["val_acc"], ".2%"),
            cell(row["best_epoch"], "d"),
            cell(row["last_val_acc"], ".2%"),
            cell(row["seconds"], ".1f"),
            row["status"],
        )
    return as_text(table, width=None)


def repeats_table(keys: Sequence[str], rows: Sequence[Row]) -> str:
    """Return a text table of the means over each setting's runs that are done, the best first.

    A setting whose runs are not all done comes after those whose are.
    """
    settings = [key for key in keys if key not in REPEATS]
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in settings)].append(row)
    ranked = []
    for values, group in groups.items():
        done = [row for row in group if row["status"] == "done"]
        acc, ce = ([row[name] for row in done] for name in ("val_acc", "val_ce"))
        counted = f"{len(done)}" if len(done) == len(group) else f"{len(done)} of {len(group)}"
        best_first = (len(done) < len(group), -statistics.fmean(acc) if acc else 0.0)
        ranked.append(
            (
                best_first,
                [*values, counted, _mean_and_spread(acc, ".2%"), _mean_and_spread(ce, ".4f")],
            )
        )
    table = plain_table(*settings, "runs done", "val acc", "val ce")
    for _, cells in sorted(ranked, key=lambda item: item[0]):
        table.add_row(*cells)
    return as_text(table, width=None)


def _row(run: SweptRun) -> Row:
    figures: Row = dict.fromkeys(FIGURES)
    status = "" if run.summary else ending(run.folder)
    if status == "unfinished":
        figures |= _so_far(run.folder)
    if run.summary:
        status = status_of(run.summary)
        best, final = run.summary["best"], run.summary["final"]
        for split in ("train", "val"):
            figures |= {f"{split}_{name}": best[split][name] for name in ("ce", "acc")}
        figures |= {f"last_val_{name}": final["val"][name] for name in ("ce", "acc")}
        figures |= {"best_epoch": best["epoch"]}
        figures |= {name: run.summary[name] for name in ("epochs", "seconds")}
    return {"run": run.folder.name, **run.swept, "status": status, **figures}


def _so_far(folder: Path) -> Row:
    """Return the figures of a run that was cut off, from its curves."""
    try:
        curves = read_curves(folder / "metrics.csv")
    except InputError:
        return {}
    best = curves.best_row()
    if best is None:
        return {}
    ce, acc = (curves.of("val", measure) for measure in ("ce", "acc"))
    return {
        "val_ce": float(ce[best]),
        "val_acc": float(acc[best]),
        "best_epoch": int(curves.epoch[best]),
        "last_val_ce": float(ce[-1]),
        "last_val_acc": float(acc[-1]),
        "epochs": int(curves.epoch[-1]),
        "seconds": float(curves.seconds.sum()),
    }


def _rank(row: Row) -> tuple[int, float, float]:
    acc, ce = row["val_acc"], row["val_ce"]
    return (
        STATUSES.index(row["status"].split()[0]),  # such as stopped at rung 2
        1.0 if acc is None else -acc,
        float("inf") if ce is None else ce,
    )


def _mean_and_spread(values: Sequence[float], form: str) -> str:
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{form}}{spread}"
