"""Curves of the mixtures: log-likelihood against iteration, error against components."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from fer_lightning.files import number_at, text_at, value_at
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
    folded,
    joined,
    paragraph,
    percent,
    table,
)
from fer_lightning.report.pictures import figure_image, picture_image
from fer_lightning.report.sweeps import shown

SPLITS = {"train": (BLUE, "o"), "val": (VERMILION, "s"), "test": (GREEN, "^")}
MOST_PANELS = 12


def likelihood_panels(runs: Sequence[tuple[str, MixtureRun]]) -> Figure:
    """Draw the log-likelihoods of every start and restart, a panel for each titled run.

    The first step is far longer than all others, so each panel begins at the second iteration.
    """
    figure, panels = _panels(len(runs))
    for axes, (title, run) in zip(panels, runs, strict=True):
        for color, (start, restarts) in zip(COLORS, run.curves.items(), strict=False):
            best = int(np.argmax([curve[-1] for curve in restarts]))
            for i, curve in enumerate(restarts):
                strong = i == best
                steps = np.arange(1, len(curve) + 1)[1:]
                axes.plot(
                    steps, curve[1:], color=color, linewidth=1.8 if strong else 0.7,
                    alpha=1 if strong else 0.5, label=start if strong else None,
                    marker="o" if strong else None, markersize=3,
                )  # fmt: skip
        plain(axes, "iteration", "log-likelihood, summed")
        axes.set_title(title, size=8, color=INK, loc="left")
        axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, title="start", title_fontsize=8)
    return figure


def error_panels(runs: Sequence[tuple[str, MixtureRun]]) -> Figure:
    """Draw the error of every split against the number of components, a panel for each run."""
    figure, panels = _panels(len(runs))
    for axes, (title, run) in zip(panels, runs, strict=True):
        errors = run.errors
        for split, (color, marker) in SPLITS.items():
            axes.plot(
                errors["n_components"], errors[split], color=color, marker=marker, label=split
            )
        plain(axes, "components of each class", "error")
        axes.set_title(title, size=8, color=INK, loc="left")
        axes.set_xticks(errors["n_components"])
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    columns = min(n, 3)
    rows = -(-n // columns)
    figure = Figure((0.2 + (4.6 if columns == 1 else 3.4) * columns, 2.8 * rows),
                    layout="constrained")  # fmt: skip
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[n:]:
        axes.set_axis_off()
    for axes in grid.flat:
        axes.xaxis.label.set_fontsize(9)
        axes.yaxis.label.set_fontsize(9)
    return figure, list(grid.flat[:n])


MOST = 6  # runs of which pictures are embedded
CLUSTER_PICTURES = {
    "means": "Means",
    "variances": "Variances",
    "mixing": "Mixing proportions",
    "typical": "Most typical faces",
    "samples": "Sampled faces",
    "clusters": "Clusters against expressions",
}
CLASSIFY_PICTURES = {"confusion": "Confusion matrix", "reliability": "Reliability"}
ABOUT = {
    "cluster": ("Clusters of faces", "python -m gmm.cluster"),
    "classify": ("A mixture per expression", "python -m gmm.classify"),
}


def mixture_section(found: Collection) -> Section:
    """Return the section on clusterings and on mixtures that classify expressions."""
    parts = [
        element(
            "section", element("h3", ABOUT[kind][0]), *_part(kind, found), id=f"mixtures-{kind}"
        )
        for kind in ABOUT
    ]
    links = tuple((f"mixtures-{kind}", title) for kind, (title, _) in ABOUT.items())
    return Section("mixtures", "Gaussian mixtures", joined(parts), links)


def _part(kind: str, found: Collection) -> list[Markup]:
    runs = found.of_kind(kind)
    if not runs:
        return [paragraph("None among these runs; made by ", command(ABOUT[kind][1]), ".")]
    few = [(_title(run), run) for run in runs if run.rows][:MOST_PANELS]
    limit = f" At most {MOST_PANELS} runs are drawn." if len(runs) > MOST_PANELS else ""
    if kind == "cluster":
        told, pictures = _clusterings(runs), CLUSTER_PICTURES
        caption = "Log-likelihood of the training faces before each M-step, from the second on."
        drawn = likelihood_panels(few) if few else None
    else:
        told, pictures = _classifications(runs), CLASSIFY_PICTURES
        caption = "Share of wrong answers against the number of components of each expression."
        drawn = error_panels(few) if few else None
    box = [figure_box(figure_image(drawn, caption), caption + limit)] if drawn else []
    return [told, *box, *(_pictures(run, pictures, run is runs[0]) for run in runs[:MOST])]


def _title(run: MixtureRun) -> str:
    classes = value_at(run.summary, "classes")
    told = f", {len(classes)} expressions" if isinstance(classes, list) else ""
    features = text_at(run.summary, "features", "name")
    structure = shown(run.setting("mixture.covariance_type"))
    n = number_at(run.summary, "best", "n_factors")
    factors = "" if n is None else f" of {n:.0f} factors"
    return f"{run.folder.name}\n{structure}{factors}, {features}{told}"


def _clusterings(runs: list[MixtureRun]) -> Markup:
    columns = [
        "Run", "K", "Covariance", "Features", "Start", "Iterations", "Within 0.1 % at",
        "Log-likelihood, train", "Val", "Test", "BIC", "Purity", "Largest class", "Adjusted Rand",
        "Seconds",
    ]  # fmt: skip
    return table(columns, map(_clustering, runs))


def _clustering(run: MixtureRun) -> list[Cell | str]:
    s = run.summary
    weights, start = value_at(s, "model", "weights"), text_at(s, "model", "start") or "-"
    likelihood = [number_at(s, "model", "log_likelihood", x) for x in ("train", "val", "test")]
    return [
        run.folder.name,
        figure(len(weights) if isinstance(weights, list) else None, "d"),
        shown(run.setting("mixture.covariance_type")),
        text_at(s, "features", "name") or "-",
        start,
        figure(number_at(s, "log_likelihood", start, "iterations"), ",.0f"),
        figure(number_at(s, "log_likelihood", start, "within_0.1_percent_at"), ",.0f"),
        *(figure(value, ",.0f") for value in likelihood),
        figure(number_at(s, "model", "bic"), ",.0f"),
        percent(number_at(s, "clusters", "purity")),
        percent(number_at(s, "clusters", "largest_class")),
        figure(number_at(s, "clusters", "adjusted_rand"), ".3f"),
        figure(number_at(s, "seconds"), ".1f"),
    ]


def _classifications(runs: list[MixtureRun]) -> Markup:
    columns = [
        "Run", "Expressions", "Covariance", "Features", "Best K", "Train error", "Val error",
        "Test error", "Temperature", "ECE", "ECE scaled", "NLL", "NLL scaled", "Seconds",
    ]  # fmt: skip
    return table(columns, map(_classification, runs))


def _classification(run: MixtureRun) -> list[Cell | str]:
    s = run.summary
    classes = value_at(s, "classes")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    return [
        run.folder.name,
        ", ".join(names) if len(names) < 4 else f"{len(names)}",
        shown(run.setting("mixture.covariance_type")),
        text_at(s, "features", "name") or "-",
        figure(number_at(s, "best", "n_components"), ",.0f"),
        *(figure(number_at(s, "best", split), ".3f") for split in ("train", "val", "test")),
        figure(number_at(s, "calibration", "temperature"), ",.3g"),
        *(
            figure(number_at(s, "calibration", state, name), ".3g")
            for name in ("ece", "nll")
            for state in ("test_as_fitted", "test_scaled")
        ),
        figure(number_at(s, "seconds"), ".1f"),
    ]


def _pictures(run: MixtureRun, pictures: dict[str, str], unfolded: bool) -> Markup:
    boxes = []
    for name, caption in pictures.items():
        path = run.folder.path / f"{name}.png"
        image = picture_image(path, f"{caption} of {run.folder.name}") if path.is_file() else None
        if image:
            boxes.append(figure_box(image))
    return folded(f"Pictures of {run.folder.name}", boxes, unfolded=unfolded)
