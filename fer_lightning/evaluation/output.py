"""What an evaluation says on the terminal, draws, and leaves in its folder."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from fer_lightning.data import CLASSES
from fer_lightning.evaluation.calibration import reliability_diagram
from fer_lightning.evaluation.measuring import Evaluation
from fer_lightning.evaluation.saliency_sheets import saliency_figures
from fer_lightning.files import whole_folder, write_json, write_table
from fer_lightning.plots import (
    BLUE,
    INK,
    VERMILION,
    as_text,
    count_table,
    first_layer,
    panel,
    pixels,
    plain_table,
)
from fer_lightning.training import (
    COLUMNS,
    ExpressionClassifier,
    confident_mistakes,
    uncertain_faces,
)


def evaluation_text(name: str, facts: dict[str, Any]) -> str:
    """Return the measures of evaluation.json as text, in lines and tables below the name."""
    threshold = f"{facts['threshold']:.3g}"
    lines = [
        f"{name}: {facts['checkpoint']}, epoch {facts['epoch']}; "
        f"{facts['n']:,} {facts['split']} faces of {facts['data']['name']}",
        f"accuracy {right_of(facts)}, cross-entropy {facts['ce']:.4f}{_views(facts)}",
        *_reads(facts),
        *_twins(facts),
        f"highest score below {threshold}: {_part(facts['uncertain'])}",
        f"the others: {_part(facts['certain'])}",
        f"area under the risk-coverage curve (AURC) {facts['aurc']:.4f}",
        _calibration_table(facts),
        _class_table(facts["classes"]),
    ]
    return "\n".join(lines)


VIEWS = {None: "", "flip": "; each face and its mirror image", "ten_crop": "; ten crops"}


def _views(facts: dict[str, Any]) -> str:
    text = VIEWS[facts["tta"]]
    return text + ("; smoothed as those of the training" if facts["smooth"] else "")


def _reads(facts: dict[str, Any]) -> list[str]:
    n = facts["read"]
    if facts["split"] != "test" or n < 2:
        return []
    return [f"the test faces are read for the {_ordinal(n)} time: choose by others (split=val)"]


def _ordinal(n: int) -> str:
    last = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{last}"


def percent(share: float | None) -> str:
    """Return a share in percent, or a dash for None."""
    return "-" if share is None else f"{share:.1%}"


def right_of(figures: dict[str, Any]) -> str:
    """Return the accuracy and its 95 % interval as text."""
    low, high = figures["acc_interval"]
    return f"{percent(figures['acc'])} (95 % interval {percent(low)} to {percent(high)})"


def _part(figures: dict[str, Any]) -> str:
    n = figures["n"]
    if not n:
        return "no faces"
    return f"{n:,} face{'s' * (n > 1)}, {right_of(figures)} right"


def _twins(facts: dict[str, Any]) -> list[str]:
    """Return lines on the faces with and without a twin in training, if that is known."""
    told = {"with": "with a twin in training", "without": "without one"}
    return [
        f"{what}: {_part(facts[f'{n}_twin'])}" for n, what in told.items() if f"{n}_twin" in facts
    ]


def _calibration_table(facts: dict[str, Any]) -> str:
    table = plain_table("scores", "ECE", "NLL", "Brier")
    scaled = f"temperature {facts['temperature']:.3g}, fitted on val"
    for name, key in (("as trained", "calibration"), (scaled, "calibrated")):
        table.add_row(name, *(f"{facts[key][figure]:.4f}" for figure in ("ece", "nll", "brier")))
    return as_text(table)


def _class_table(classes: dict[str, dict[str, Any]]) -> str:
    table = plain_table("class", "precision", "recall", "F1", "faces")
    for name, scores in classes.items():
        shares = [percent(scores[key]) for key in ("precision", "recall", "f1")]
        table.add_row(name, *shares, f"{scores['n']:,}")
    return as_text(table)


def evaluation_figures(
    found: Evaluation, model: ExpressionClassifier, split: str, explain: bool = False
) -> dict[str, Figure]:
    """Draw the figures of an evaluation, by name; sheets without faces are left out.

    Args:
        found: The measures.
        model: The network in evaluation mode.
        split: Where the faces come from, for titles.
        explain: Whether to draw which pixels speak for its answers, too.
    """
    panels = {
        "As trained": found.as_trained,
        f"Temperature {found.temperature:.3g}": found.scaled,
    }
    sheets = {
        "uncertain": uncertain_faces(found.predictions, found.threshold),
        "mistakes": confident_mistakes(found.predictions),
    }
    title = f"Faces of the {split} split"
    return {
        **{name: sheet for name, sheet in sheets.items() if sheet},
        "confusion": count_table(title, found.confusion, CLASSES, CLASSES, ("true", "predicted")),
        "reliability": reliability_diagram(panels, 1 / len(CLASSES)),
        "risk_coverage": risk_coverage_curve(found),
        "first_layer": first_layer(model),
        **(saliency_figures(model, found.predictions) if explain else {}),
    }


def risk_coverage_curve(found: Evaluation) -> Figure:
    """Draw the error among the answered faces against their share, and mark the threshold."""
    curve, confidence = found.curve, found.predictions.confidence
    figure, axes = panel(
        f"Answering the surest faces only: AURC {curve.area:.3f}",
        "coverage: share of the faces that are answered",
        "risk: share of wrong answers among them",
        6.4,
    )
    axes.plot(curve.coverage, curve.risk, color=BLUE, linewidth=2, label="this network")
    overall = float(curve.risk[-1])
    axes.axhline(overall, color=INK, linewidth=1, linestyle="--", label=f"all faces: {overall:.1%}")
    answered = int((confidence >= found.threshold).sum())
    if answered:
        place = (float(curve.coverage[answered - 1]), float(curve.risk[answered - 1]))
        label = f"scores from {found.threshold:.3g}: {place[0]:.1%} answered, {place[1]:.1%} wrong"
        axes.plot(*place, "o", color=VERMILION, markersize=8, label=label)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, max(0.05, 1.15 * float(curve.risk.max())))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    return figure


def write_evaluation(
    folder: Path,
    found: Evaluation,
    model: ExpressionClassifier,
    facts: dict[str, Any],
    explain: bool = False,
) -> None:
    """Write an evaluation's tables, figures and TensorBoard images, replacing an earlier one.

    Args:
        folder: Where they are written; its parents are made.
        found: The measures.
        model: The network, for the pictures of its first layer and of what speaks for its answers.
        facts: The content of evaluation.json.
        explain: Whether to draw these.
    """
    curve = zip(found.curve.coverage.tolist(), found.curve.risk.tolist(), strict=True)
    with whole_folder(folder) as part, SummaryWriter(str(part)) as board:
        write_table(part / "predictions.csv", COLUMNS, found.predictions.rows())
        points = ([f"{value:.9g}" for value in point] for point in curve)
        write_table(part / "risk_coverage.csv", ("coverage", "risk"), points)
        write_json(part / "evaluation.json", facts)
        for name, figure in evaluation_figures(found, model, facts["split"], explain).items():
            picture = pixels(figure)
            Image.fromarray(picture).save(part / f"{name}.png")
            board.add_image(name, picture, facts["epoch"], dataformats="HWC")
