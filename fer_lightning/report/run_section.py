"""The table of all runs, and the table of those that are not done."""

from collections.abc import Callable

from fer_lightning.files import number_at, text_at
from fer_lightning.report.collection import Collection, MixtureRun
from fer_lightning.report.markup import (
    Cell,
    Markup,
    Section,
    element,
    figure,
    joined,
    paragraph,
    percent,
    setting,
    table,
)
from fer_lightning.report.runs import Run
from fer_lightning.report.sweeps import shown

CORE = {
    "model": "Model",
    "optim.lr": "Learning rate",
    "optim.momentum": "Momentum",
    "data.batch_size": "Batch",
    "seed": "Seed",
    "data.cv_fold": "Fold",
}
WORDS = {
    "unfinished": "It has no summary.json: it is still running, or was stopped.",
    "failed": "{failure}; its {log} says more.",
}


def run_section(found: Collection) -> Section:
    """Return the section with all network runs in one table that can be sorted and filtered."""
    statuses = sorted({run.status.split()[0] for run in found.runs})  # stopped, wherever it was
    content = (
        joined([_controls(statuses), _table(found.runs)]) if found.runs else paragraph("None.")
    )
    return Section("runs", "Runs", content)


def _controls(statuses: list[str]) -> Markup:
    options = [element("option", "any status", value="")]
    options += [element("option", status, value=status) for status in statuses]
    return element(
        "form",
        element("input", type="search", id="filter", placeholder="words that a row must hold",
                aria_label="Filter by words", autocomplete="off"),
        element("select", *options, id="status", aria_label="Filter by status"),
        element("output", id="shown", aria_live="polite"),
        class_="controls",
    )  # fmt: skip


def _table(runs: list[Run]) -> Markup:
    columns: dict[str, Callable[[Run], Cell]] = {
        "Run": lambda run: Cell(run.folder.name),
        "Sweep": lambda run: Cell(run.folder.sweep_name or "-"),
        "Status": lambda run: Cell(run.status),
        "Val acc": _score("best", "val", "acc"),
        "Val CE": _score("best", "val", "ce"),
        "Test acc": _score("best", "test", "acc"),
        "Test CE": _score("best", "test", "ce"),
        "Best epoch": lambda run: figure(run.convergence.best, "d"),
        **{name: _setting(key) for key, name in CORE.items()},
        "Shape": lambda run: Cell(shape(run) or "-"),
        "Other settings": lambda run: Cell(_others(run) or "-"),
        "Train acc": _score("best", "train", "acc"),
        "Last val acc": _score("final", "val", "acc"),
        "Last val CE": _score("final", "val", "ce"),
        "Last test acc": _score("final", "test", "acc"),
        "Last test CE": _score("final", "test", "ce"),
        "Epochs": lambda run: figure(run.n_epochs, "d"),
        "Parameters": lambda run: figure(number_at(run.summary, "n_parameters"), ",.0f"),
        "Seconds": lambda run: figure(run.seconds, ",.1f"),
        "Faces": lambda run: Cell(text_at(run.summary, "data", "name") or "-"),
    }
    cells = {name: [of(run) for run in runs] for name, of in columns.items()}
    told = {name: column for name, column in cells.items() if any(c.text != "-" for c in column)}
    return table(list(told), zip(*told.values(), strict=True), id_="all-runs")


def _setting(key: str) -> Callable[[Run], Cell]:
    return lambda run: setting(run.settings.get(key))


def _score(epoch: str, split: str, measure: str) -> Callable[[Run], Cell]:
    def cell(run: Run) -> Cell:
        value = run.score(epoch, split, measure)
        return percent(value) if measure == "acc" else figure(value, ".4f")

    return cell


def shape(run: Run) -> str:
    """Return the sizes of a network's layers, such as 16-32."""
    sizes = [run.settings.get(key) for key in ("model.hidden", "model.filters")]
    return ", ".join(shown(value) for value in sizes if isinstance(value, list))


def _others(run: Run) -> str:
    """Return, as text, the settings given for a run that have no column of their own."""
    hidden = (*CORE, "model.hidden", "model.filters", "threads", "data.path")
    told = [key for key in run.given if key not in hidden]
    return ", ".join(f"{key}={shown(run.settings.get(key))}" for key in told)


def trouble_section(found: Collection) -> Section:
    """Return the section with the runs that are not done, and why."""
    rows: list[list[Cell | str]] = []
    for run in found.all_runs:
        if run.is_trouble:
            sweep = run.folder.sweep_name or "-"
            rows.append([run.folder.name, sweep, run.status, _why(run)])
    if not rows:
        return Section("trouble", "Runs that are not done", paragraph("None: all runs are done."))
    content = table(["Run", "Sweep", "Status", "What is known"], rows, id_="trouble-runs")
    return Section("trouble", "Runs that are not done", content)


def _why(run: Run | MixtureRun) -> str:
    if run.problem:
        return run.problem
    if run.status == "diverged":
        epoch = number_at(run.summary, "diverged_epoch")
        return f"Its training loss was no finite number in epoch {epoch}."
    if run.status.startswith("stopped"):
        epochs = figure(number_at(run.summary, "epochs"), "g").text
        return f"It pauses after epoch {epochs}; resume= goes on."
    return WORDS[run.status].format(failure=run.folder.failure, log=f"{run.folder.kind}.log")
