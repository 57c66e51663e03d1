"""Networks and mixtures side by side: what accuracy costs, and the best on the same faces."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

from fer_lightning.files import number_at, text_at
from fer_lightning.plots import BLUE, COLORS, GREEN, INK, VERMILION, plain
from fer_lightning.report.collection import Collection, MixtureRun
from fer_lightning.report.markup import (
    Cell,
    Markup,
    Section,
    command,
    element,
    figure,
    figure_box,
    joined,
    paragraph,
    spread,
    table,
)
from fer_lightning.report.pictures import figure_image
from fer_lightning.report.run_section import shape
from fer_lightning.report.runs import Run
from fer_lightning.report.sweeps import REPLICATES, Configuration, Spread, Sweep, shown

MARKERS = {"mlp": (BLUE, "o"), "cnn": (VERMILION, "s"), "mixtures": (GREEN, "^")}


@dataclass(frozen=True)
class Cost:
    """The accuracy that a run reached, and what it cost.

    Attributes:
        kind: What was trained, such as mlp.
        acc: Best validation accuracy, in [0, 1].
        n_parameters: Number of its parameters.
        seconds: How long its training took.
    """

    kind: str
    acc: float
    n_parameters: float | None
    seconds: float | None


def cost_figure(costs: Sequence[Cost]) -> Figure:
    """Draw the best validation accuracy against the number of parameters and against seconds."""
    figure = Figure((9.6, 3.6), layout="constrained")
    sides = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(sides, ("n_parameters", "seconds"), strict=True):
        for i, kind in enumerate(sorted({cost.kind for cost in costs})):
            color, marker = MARKERS.get(kind, (COLORS[i % len(COLORS)], "D"))
            points = [(getattr(c, name), c.acc) for c in costs if c.kind == kind]
            known = [(x, y) for x, y in points if x]
            if known:
                axes.plot(
                    *zip(*known, strict=True), marker, color=color, label=kind,
                    markersize=5, alpha=0.7, markeredgewidth=0,
                )  # fmt: skip
        axes.set_xscale("log")
    _name(sides[0], "parameters", "best validation accuracy")
    _name(sides[1], "seconds of training", "")
    sides[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if sides[0].has_data():
        sides[0].legend(frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _name(axes: Axes, x: str, y: str) -> None:
    plain(axes, x, y)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.7g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)


def cost_section(found: Collection) -> Section:
    """Return the section that plots accuracy against parameters and seconds for all runs."""
    title = "Accuracy against parameters and seconds"
    costs = _costs(found)
    if not costs:
        return Section("cost", title, paragraph("No run has a validation accuracy yet."))
    caption = (
        "A point for each run: its best validation accuracy. Seconds compare only runs of one "
        "device with nothing else beside them; those of mixtures are of all numbers of components "
        "together."
    )
    return Section("cost", title, figure_box(figure_image(cost_figure(costs), title), caption))


def _costs(found: Collection) -> list[Cost]:
    costs = []
    for run in found.runs:
        acc = run.score("best", "val", "acc")
        if acc is not None:
            n_parameters = number_at(run.summary, "n_parameters")
            costs.append(Cost(run.model or "network", acc, n_parameters, run.seconds))
    for mixture in found.of_kind("classify"):
        error = number_at(mixture.summary, "best", "val")
        if error is not None and mixture.tells_all_test_faces_apart:
            n_parameters = number_at(mixture.summary, "best", "n_parameters")
            seconds = number_at(mixture.summary, "seconds")
            costs.append(Cost("mixtures", 1 - error, n_parameters, seconds))
    return costs


NO_MATTER = (*REPLICATES, "threads", "data.cache_dir")
COLUMNS = (
    "What", "Chosen", "Test acc, %", "Test CE", "Val acc, %", "Train acc, %", "Parameters",
    "Seconds", "Runs",
)  # fmt: skip


def same_faces_section(found: Collection) -> Section:
    """Return the section with the best of each kind of network and mixture, by data set."""
    title = "Networks and mixtures on the same test faces"
    runs = [run for run in found.runs if run.status == "done" and not _is_fold(run)]
    mixtures = [run for run in found.of_kind("classify") if run.tells_all_test_faces_apart]
    prints = dict.fromkeys([*map(_fingerprint, runs), *map(_fingerprint, mixtures)])
    parts = []
    for fingerprint in prints:
        networks = [run for run in runs if _fingerprint(run) == fingerprint]
        others = [run for run in mixtures if _fingerprint(run) == fingerprint]
        rows = [*map(_network_row, _best_networks(networks)), *map(_mixture_row, _best(others))]
        summary = networks[0].summary if networks else others[0].summary
        parts += [_faces(summary, fingerprint), table(COLUMNS, rows)]
    note = paragraph(
        "Of each kind, the settings that are best on validation faces, chosen without a look at "
        "the test faces; of a network, its best epoch. Parts of a cross-validation and runs that "
        "tell only some expressions apart are left out. Mixtures that tell all expressions apart "
        "are made by ", command("python -m gmm.classify classes=all"), ".", class_="note",
    )  # fmt: skip
    return Section("same-faces", title, joined([note, *parts]))


def _fingerprint(run: Run | MixtureRun) -> str | None:
    return text_at(run.summary, "data", "fingerprint")


def _is_fold(run: Run) -> bool:
    return bool(run.settings.get("data.cv_folds"))


def _faces(summary: object, fingerprint: str | None) -> Markup:
    name = text_at(summary, "data", "name") or "unknown faces"
    sizes = [number_at(summary, "data", split) for split in ("train", "val", "test")]
    numbers = " / ".join("-" if n is None else f"{n:,.0f}" for n in sizes)
    mark = f", fingerprint {fingerprint[:12]}" if fingerprint else ""
    return element("h3", f"{name}: {numbers} faces for training, validation and test{mark}")


def _best_networks(runs: Iterable[Run]) -> list[tuple[str, Configuration]]:
    """Return the best configuration of every kind of network, with the name of its kind."""
    alike: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        told = sorted((key, str(v)) for key, v in run.settings.items() if key not in NO_MATTER)
        kind = f"{run.model or 'network'} {shape(run)}".strip()
        alike.setdefault(kind, {}).setdefault(str(told), []).append(run)
    best = []
    for kind, groups in sorted(alike.items()):
        configurations = [Configuration({}, group) for group in groups.values()]
        best.append((kind, Sweep(None, [], [], configurations).ranking()[0]))
    return best


def _network_row(row: tuple[str, Configuration]) -> list[Cell | str]:
    kind, of = row
    settings = of.runs[0].settings
    chosen = ", ".join(
        f"{name} {shown(settings[key])}"
        for key, name in {
            "optim.lr": "lr",
            "optim.momentum": "momentum",
            "data.batch_size": "batch",
            "trainer.max_epochs": "epochs",
        }.items()
        if key in settings
    )
    return [
        kind,
        chosen or "-",
        spread(of.score("best", "test", "acc"), ".1f", 100),
        spread(of.score("best", "test", "ce"), ".3f"),
        spread(of.score("best", "val", "acc"), ".1f", 100),
        spread(of.score("best", "train", "acc"), ".1f", 100),
        figure(number_at(of.runs[0].summary, "n_parameters"), ",.0f"),
        spread(Spread.of(run.seconds for run in of.runs), ".1f"),
        figure(len(of.runs), "d"),
    ]


def _best(runs: Iterable[MixtureRun]) -> list[MixtureRun]:
    """Return the best mixture run for each covariance structure and kind of features."""
    kinds: dict[str, list[MixtureRun]] = {}
    for run in runs:
        kinds.setdefault(_kind(run), []).append(run)
    return [min(group, key=lambda run: _error(run, "val") or 0.0) for group in kinds.values()]


def _kind(run: MixtureRun) -> str:
    covariance = shown(run.setting("mixture.covariance_type"))
    return f"mixture per class, {covariance}, {text_at(run.summary, 'features', 'name')}"


def _error(run: MixtureRun, split: str) -> float | None:
    return number_at(run.summary, "best", split)


def _mixture_row(run: MixtureRun) -> list[Cell | str]:
    errors = [_error(run, split) for split in ("test", "val", "train")]
    test, val, train = (
        figure(None if error is None else 100 * (1 - error), ".1f") for error in errors
    )
    n_components = number_at(run.summary, "best", "n_components")
    return [
        _kind(run),
        "-" if n_components is None else f"K = {n_components}",
        test,
        figure(number_at(run.summary, "calibration", "test_as_fitted", "nll"), ".3f"),
        val,
        train,
        figure(number_at(run.summary, "best", "n_parameters"), ",.0f"),
        figure(number_at(run.summary, "seconds"), ".1f"),
        figure(1, "d"),
    ]
