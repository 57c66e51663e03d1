"""The pictures of an evaluation."""

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fer_lightning.answered_faces import confident_mistakes, uncertain_faces
from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.count_table import count_table
from fer_lightning.data.faces import CLASSES
from fer_lightning.evaluation import Evaluation
from fer_lightning.figure_style import BLUE, INK, VERMILION, panel
from fer_lightning.first_layer import first_layer
from fer_lightning.reliability_diagram import reliability_diagram


def evaluation_figures(
    found: Evaluation, model: ExpressionClassifier, split: str
) -> dict[str, Figure]:
    """The pictures by name; sheets of faces are left out where there are no such faces."""
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
    }


def risk_coverage_curve(found: Evaluation) -> Figure:
    """Error among the faces that are answered against their share, and where the threshold lies."""
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
