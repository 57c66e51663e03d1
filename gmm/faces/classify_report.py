"""What `python -m gmm.classify` leaves in its folder and says at its end."""

import logging
from dataclasses import dataclass
from typing import Any, Self

import torch
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
from gmm.faces.curves import error_curves, factor_curves, factors_told
from gmm.faces.run_folder import RunFolder
from gmm.faces.settings import MixtureSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Errors:
    """The error rates of the mixtures of all sizes, and which of them the validation faces choose.

    Attributes:
        sizes: Numbers of components.
        factors: Numbers of factors; one where there are none.
        rates: From a split to its error rates, (number of factors, number of sizes).
        factor: Position of the chosen number of factors.
        size: Position of the chosen number of components.
    """

    sizes: list[int]
    factors: list[int]
    rates: dict[str, list[list[float]]]
    factor: int
    size: int

    @classmethod
    def of(cls, rates: dict[str, list[list[float]]], settings: MixtureSettings) -> Self:
        """Return the error rates with the choice; of those that are as good, the smallest."""
        sizes, factors, val = settings.sizes, settings.factors, rates["val"]
        pairs = [(q, i) for q in range(len(factors)) for i in range(len(sizes))]
        best = min(pairs, key=lambda p: (val[p[0]][p[1]], sizes[p[1]], factors[p[0]]))
        return cls(sizes, factors, rates, *best)

    @property
    def varies(self) -> bool:
        """Return whether there are several numbers of factors."""
        return len(self.factors) > 1

    def by_size(self, factor: int) -> dict[str, dict[str, float]]:
        """Return the error rate of every size and split for one number of factors."""
        rates = {split: self.rates[split][factor] for split in SPLITS}
        return {str(K): {s: rates[s][i] for s in SPLITS} for i, K in enumerate(self.sizes)}

    def rows(self) -> list[tuple[int, int, list[float]]]:
        """Return the positions of factors and size, and the rates of the splits, of all."""
        pairs = [(q, i) for q in range(len(self.factors)) for i in range(len(self.sizes))]
        return [(q, i, [self.rates[split][q][i] for split in SPLITS]) for q, i in pairs]


def report(
    run: RunFolder,
    fitted: list[ClassMixtures],
    chosen: dict[str, Labelled],
    names: list[str],
    settings: MixtureSettings,
) -> dict[str, Any]:
    """Write and log how well the mixtures classify faces; return the results for the summary.

    Args:
        run: The folder to write to.
        fitted: The mixtures of every number of factors.
        chosen: The faces of the classes in all splits.
        names: The classes.
        settings: The mixtures' settings.
    """
    log_proba = {
        split: torch.stack([f.log_proba(part.points, settings.chunk_size) for f in fitted])
        for split, part in chosen.items()
    }  # (number of factors, number of K, N, C)
    rates = {split: error_rates(log_proba[split], chosen[split].classes) for split in SPLITS}
    errors = Errors.of(rates, settings)
    best, size = fitted[errors.factor], errors.size
    test, truth = log_proba["test"][errors.factor, size], chosen["test"].classes
    confusion = contingency(truth, test.argmax(-1), len(names), len(names))
    # Test faces have no part in the temperature, nor in the choice above.
    temperature = best_temperature(log_proba["val"][errors.factor, size], chosen["val"].classes)
    as_fitted = reliability(test, truth)
    softened = reliability(scaled(test, temperature), truth)
    results: dict[str, Any] = {
        "classes": names,
        "prior": best.log_prior.exp().tolist(),
        "faces": {split: len(part.classes) for split, part in chosen.items()},
        **_told(errors, best),
        "calibration": {
            "temperature": temperature,
            "test_as_fitted": as_fitted.figures(),
            "test_scaled": softened.figures(),
        },
        "empty_components": best.empty,
    }
    results["best"]["test_confusion"] = confusion.tolist()
    with whole_file(run.path / "mixtures.pt") as part:
        best.mixtures.save(part)
    _write_errors(run, errors)
    panels = {"As fitted": as_fitted, f"Temperature {temperature:,.4g}": softened}
    _draw(run, errors, confusion, names, panels)
    log.info("%s", _error_table(errors))
    log.info("%s", honest_words(as_fitted, softened, temperature))
    if best.empty:
        log.warning("%d components have no face", best.empty)
    return results


def _told(errors: Errors, best: ClassMixtures) -> dict[str, Any]:
    """Return what the summary says of the errors and the choice."""
    of_size = errors.by_size(errors.factor)
    K = errors.sizes[errors.size]
    choice = {"n_components": K, "n_parameters": best.n_parameters[errors.size], **of_size[str(K)]}
    told: dict[str, Any] = {"n_components": errors.sizes, "errors": of_size, "best": choice}
    if errors.varies:
        choice["n_factors"] = errors.factors[errors.factor]
        told["n_factors"] = errors.factors
        of_factors = {str(n): errors.by_size(q) for q, n in enumerate(errors.factors)}
        told["errors_of_factors"] = of_factors
    return told


def _write_errors(run: RunFolder, errors: Errors) -> None:
    """Write the table, and the curves for TensorBoard."""
    columns = ("n_components", *SPLITS, *(["n_factors"] if errors.varies else []))
    rows = [
        (errors.sizes[i], *(f"{e:.9g}" for e in rates), errors.factors[q])[: len(columns)]
        for q, i, rates in errors.rows()
    ]
    run.table("error", columns, rows)
    for split in SPLITS:
        for n, values in zip(errors.factors, errors.rates[split], strict=True):
            tag = f"{split}/error/{n}_factors" if errors.varies else f"{split}/error"
            run.curve(tag, values, errors.sizes)


def _draw(
    run: RunFolder,
    errors: Errors,
    confusion: Tensor,
    names: list[str],
    panels: dict[str, Reliability],
) -> None:
    K, n_factors = errors.sizes[errors.size], errors.factors[errors.factor]
    if errors.varies:
        by_factors = {
            n: {split: errors.rates[split][q] for split in SPLITS}
            for q, n in enumerate(errors.factors)
        }
        run.figure("error", factor_curves(errors.sizes, by_factors, K, n_factors))
    else:
        of_splits = {split: errors.rates[split][0] for split in SPLITS}
        run.figure("error", error_curves(errors.sizes, of_splits, K))
    of_factors = f" of {factors_told(n_factors)}" if errors.varies else ""
    title = f"Test faces, {K} components{of_factors} for each expression"
    run.figure("confusion", count_table(title, confusion, names, names, ("expression", "answer")))
    run.figure("reliability", reliability_diagram(panels, 1 / len(names)))


def error_rates(log_proba: Tensor, classes: Tensor) -> list[list[float]]:
    """Return the error rates, (*B), from log p(c | x), (*B, N, C)."""
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


def _error_table(errors: Errors) -> str:
    counts = ["components", *(["factors"] if errors.varies else [])]
    table = plain_table(*counts, *(f"{split} error" for split in SPLITS), "")
    for q, i, rates in errors.rows():
        numbers = [str(errors.sizes[i]), str(errors.factors[q])][: len(counts)]
        is_best = (q, i) == (errors.factor, errors.size)
        cells = [f"{rate:.4f}" for rate in rates]
        table.add_row(*numbers, *cells, "best by val" if is_best else "")
    return as_text(table)
