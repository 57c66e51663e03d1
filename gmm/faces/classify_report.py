"""What `python -m gmm.classify` leaves in its folder and says at its end."""

import logging
from typing import Any

from torch import Tensor

from fer_lightning.data import SPLITS
from fer_lightning.evaluation import (
    Reliability,
    best_temperature,
    reliability,
    reliability_diagram,
    scaled,
)
from fer_lightning.files import whole_file
from fer_lightning.plots import as_text, contingency, count_table, plain_table
from gmm.faces.class_mixtures import ClassMixtures, Labelled
from gmm.faces.curves import error_curves
from gmm.faces.run_folder import RunFolder
from gmm.faces.settings import MixtureSettings

log = logging.getLogger(__name__)


def report(
    run: RunFolder,
    fitted: ClassMixtures,
    chosen: dict[str, Labelled],
    names: list[str],
    settings: MixtureSettings,
) -> dict[str, Any]:
    """Write and log how well the mixtures classify faces; return the results for the summary.

    Args:
        run: The folder to write to.
        fitted: The mixtures.
        chosen: The faces of the classes in all splits.
        names: The classes.
        settings: The mixtures' settings.
    """
    sizes = settings.sizes
    log_proba = {
        split: fitted.log_proba(part.points, settings.chunk_size) for split, part in chosen.items()
    }
    errors = {split: error_rates(log_proba[split], chosen[split].classes) for split in SPLITS}
    best = min(range(len(sizes)), key=lambda i: (errors["val"][i], sizes[i]))
    test, truth = log_proba["test"][best], chosen["test"].classes
    confusion = contingency(truth, test.argmax(-1), len(names), len(names))
    temperature = best_temperature(log_proba["val"][best], chosen["val"].classes)
    as_fitted = reliability(test, truth)
    softened = reliability(scaled(test, temperature), truth)
    of_size = {str(K): {split: errors[split][i] for split in SPLITS} for i, K in enumerate(sizes)}
    results: dict[str, Any] = {
        "classes": names,
        "prior": fitted.log_prior.exp().tolist(),
        "faces": {split: len(part.classes) for split, part in chosen.items()},
        "n_components": sizes,
        "errors": of_size,
        "best": {
            "n_components": sizes[best],
            "n_parameters": int(fitted.mixtures.n_parameters[:, best].sum()) + len(names) - 1,
            **of_size[str(sizes[best])],
            "test_confusion": confusion.tolist(),
        },
        "calibration": {
            "temperature": temperature,
            "test_as_fitted": as_fitted.figures(),
            "test_scaled": softened.figures(),
        },
        "empty_components": fitted.empty,
    }
    with whole_file(run.path / "mixtures.pt") as part:
        fitted.mixtures.save(part)
    rows = zip(sizes, *([f"{e:.9g}" for e in errors[split]] for split in SPLITS), strict=True)
    run.table("error", ("n_components", *SPLITS), rows)
    for split in SPLITS:
        run.curve(f"{split}/error", errors[split], sizes)
    panels = {"As fitted": as_fitted, f"Temperature {temperature:,.4g}": softened}
    _draw(run, sizes, errors, best, confusion, names, panels)
    log.info("%s", _error_table(sizes, errors, best))
    log.info("%s", honest_words(as_fitted, softened, temperature))
    if fitted.empty:
        log.warning("%d components have no face", fitted.empty)
    return results


def _draw(
    run: RunFolder,
    sizes: list[int],
    errors: dict[str, list[float]],
    best: int,
    confusion: Tensor,
    names: list[str],
    panels: dict[str, Reliability],
) -> None:
    run.figure("error", error_curves(sizes, errors, sizes[best]))
    title = f"Test faces, {sizes[best]} components for each expression"
    run.figure("confusion", count_table(title, confusion, names, names, ("expression", "answer")))
    run.figure("reliability", reliability_diagram(panels, 1 / len(names)))


def error_rates(log_proba: Tensor, classes: Tensor) -> list[float]:
    """Return the error rate for each K from log p(c | x), (number of K, N, C)."""
    wrong = log_proba.argmax(-1) != classes
    return wrong.double().mean(-1).tolist()


def honest_words(as_fitted: Reliability, softened: Reliability, temperature: float) -> str:
    """Return a text that says how well p(class | face) is calibrated on the test faces."""
    return (
        f"p(class | face) on test as fitted: {as_fitted.mean_confidence:.1%} sure on average, "
        f"{as_fitted.mean_accuracy:.1%} right; {as_fitted.certain:.1%} of the faces above 0.999; "
        f"ECE {as_fitted.ece:.3f}, {as_fitted.nll:.3g} nats\n"
        f"with temperature {temperature:.4g}, fitted on val: {softened.mean_confidence:.1%} sure, "
        f"ECE {softened.ece:.3f}, {softened.nll:.3g} nats"
    )


def _error_table(sizes: list[int], errors: dict[str, list[float]], best: int) -> str:
    table = plain_table("components", *(f"{split} error" for split in SPLITS), "")
    for i, K in enumerate(sizes):
        cells = [f"{errors[split][i]:.4f}" for split in SPLITS]
        table.add_row(str(K), *cells, "best by val" if i == best else "")
    return as_text(table)
