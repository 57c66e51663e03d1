"""What an evaluation says on the terminal."""

from typing import Any

from fer_lightning.tables import as_text, plain_table


def evaluation_text(name: str, facts: dict[str, Any]) -> str:
    """The measures of evaluation.json as lines and tables, below the network's name."""
    threshold = f"{facts['threshold']:.3g}"
    lines = [
        f"{name}: {facts['checkpoint']}, epoch {facts['epoch']}; "
        f"{facts['n']:,} {facts['split']} faces of {facts['data']['name']}",
        f"accuracy {right_of(facts)}, cross-entropy {facts['ce']:.4f}",
        f"highest score below {threshold}: {_part(facts['uncertain'])}",
        f"the others: {_part(facts['certain'])}",
        f"area under the risk-coverage curve (AURC) {facts['aurc']:.4f}",
        _calibration_table(facts),
        _class_table(facts["classes"]),
    ]
    return "\n".join(lines)


def percent(share: float | None) -> str:
    """A share in percent, or a dash."""
    return "-" if share is None else f"{share:.1%}"


def right_of(figures: dict[str, Any]) -> str:
    """Accuracy and its interval."""
    low, high = figures["acc_interval"]
    return f"{percent(figures['acc'])} (95 % interval {percent(low)} to {percent(high)})"


def _part(figures: dict[str, Any]) -> str:
    n = figures["n"]
    if not n:
        return "no faces"
    return f"{n:,} face{'s' * (n > 1)}, {right_of(figures)} right"


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
