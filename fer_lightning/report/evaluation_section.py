"""How sure networks are, and the pictures of their first layers, from the evaluated runs."""

import shlex
from collections.abc import Iterable

from matplotlib.ticker import PercentFormatter

from fer_lightning.files import number_at, readable
from fer_lightning.plots import COLORS, INK, panel
from fer_lightning.report.collection import Collection, Evaluation
from fer_lightning.report.markup import (
    NOTHING,
    Cell,
    Markup,
    Section,
    command,
    figure,
    figure_box,
    folded,
    joined,
    paragraph,
    percent,
    table,
)
from fer_lightning.report.pictures import figure_image, picture_image

MOST = 8  # runs of which pictures are embedded, so that the page stays a few megabytes
PICTURES = {
    "uncertain": "Uncertain faces",
    "mistakes": "The most confident mistakes",
    "saliency_mistakes": "What speaks for the surest mistakes",
    "saliency_typical": "What speaks for the surest right answers",
    "confusion": "Confusion matrix",
    "reliability": "Reliability, before and after temperature scaling",
    "risk_coverage": "Risk against coverage",
}
COLUMNS = (
    "Run", "Split", "Epoch", "Faces", "Accuracy", "CE", "Threshold", "Uncertain", "Acc below",
    "Acc above", "Area under risk-coverage", "ECE", "NLL", "Brier", "Temperature", "ECE scaled",
    "NLL scaled", "Brier scaled",
)  # fmt: skip


def uncertainty_section(found: Collection) -> Section:
    """Return the section on uncertain faces, risk against coverage, and calibration."""
    title = "Uncertainty and calibration"
    shown = [e for e in found.evaluations if e.problem is None]
    broken = [
        paragraph(f"{e.run.folder.name}, {e.split}: {e.problem}")
        for e in found.evaluations
        if e.problem is not None
    ]
    if not shown:
        return Section("uncertainty", title, joined([_how(found), *broken]))
    parts = [table(COLUMNS, map(_row, shown)), *broken, *_risk(shown)]
    parts += [_pictures(e, e is shown[0]) for e in shown[:MOST]]
    if len(shown) > MOST:
        parts.append(paragraph(f"Pictures of the first {MOST} of {len(shown)} evaluations."))
    return Section("uncertainty", title, joined([*parts, _how(found)]))


def first_layer_section(found: Collection) -> Section:
    """Return the section with the first layer of each evaluated run as a picture."""
    title = "First layers"
    of_run = {id(e.run): e for e in found.evaluations if (e.path / "first_layer.png").is_file()}
    boxes = []
    for evaluation in list(of_run.values())[:MOST]:
        name = evaluation.run.folder.name
        image = picture_image(evaluation.path / "first_layer.png", f"First layer of {name}")
        boxes.append(figure_box(image, name) if image else _unreadable(name, "first_layer"))
    if len(of_run) > MOST:
        boxes.append(paragraph(f"The first {MOST} of {len(of_run)} evaluated runs are shown."))
    return Section("first-layers", title, joined(boxes or [_how(found)]))


def _how(found: Collection) -> Markup | None:
    """Return a note with the command that evaluates the best unevaluated run, or None."""
    evaluated = {id(e.run) for e in found.evaluations}
    rest = [run for run in found.runs if run.status == "done" and id(run) not in evaluated]
    if not rest:
        return None if found.runs else paragraph("No network among these runs.")
    best = max(rest, key=lambda run: run.score("best", "val", "acc") or 0.0)
    path = shlex.quote(readable(str(best.folder.path)))
    n = f"{len(rest)} of {len(found.runs)} runs" if evaluated else "These runs"
    return paragraph(
        f"{n} are not evaluated. For the best of them: ",
        command(f"python -m fer_lightning.evaluate {path}"),
        class_="note",
    )


def _row(of: Evaluation) -> list[Cell | str]:
    low = "uncertain"
    return [
        of.run.folder.name,
        of.split,
        figure(of.number("epoch"), "g"),
        figure(of.number("n"), ",.0f"),
        _with_interval(of),
        figure(of.number("ce"), ".3f"),
        figure(of.number("threshold"), ".3f"),
        figure(of.number(low, "n"), ",.0f"),
        _with_interval(of, low),
        _with_interval(of, "certain"),
        figure(of.number("aurc"), ".4f"),
        *(figure(of.number("calibration", name), ".3f") for name in ("ece", "nll", "brier")),
        figure(of.number("temperature"), ".3g"),
        *(figure(of.number("calibrated", name), ".3f") for name in ("ece", "nll", "brier")),
    ]


def _with_interval(of: Evaluation, *keys: str) -> Cell:
    acc, ends = of.number(*keys, "acc"), of.interval(*keys, "acc_interval")
    if acc is None or ends is None:
        return percent(acc) if acc is not None else NOTHING
    return Cell(f"{acc:.1%} [{ends[0]:.1%}, {ends[1]:.1%}]", acc)


def _risk(shown: Iterable[Evaluation]) -> list[Markup]:
    curves = [(e, curve) for e in shown if (curve := e.risk_coverage()) is not None][: len(COLORS)]
    if not curves:
        return []
    drawn, axes = panel("", "coverage: share of faces answered", "risk: share of wrong answers")
    for color, (evaluation, (coverage, risk)) in zip(COLORS, curves, strict=False):
        label = f"{evaluation.run.folder.name[:40]}, {evaluation.split}"
        axes.plot(coverage, risk, color=color, linewidth=1.6, label=label)
    axes.set_ylim(0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    caption = "Faces are answered in the order of their highest score; "
    caption += f"at most {len(COLORS)} evaluations are drawn."
    return [figure_box(figure_image(drawn, "Risk against coverage"), caption)]


def _pictures(of: Evaluation, unfolded: bool) -> Markup:
    boxes = []
    for name, caption in PICTURES.items():
        path = of.path / f"{name}.png"
        if path.is_file():
            image = picture_image(path, f"{caption} of {of.run.folder.name}, {of.split}")
            boxes.append(figure_box(image) if image else _unreadable(caption, name))
    acc = number_at(of.facts, "acc")
    said = "" if acc is None else f": {acc:.1%} right"
    return folded(f"{of.run.folder.name}, {of.split}{said}", boxes, unfolded=unfolded)


def _unreadable(what: str, name: str) -> Markup:
    return paragraph(f"{what}: {name}.png cannot be read.")
