"""How good a network is on a split, how sure it is, and how far that can be trusted."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from scipy.stats import binomtest, norm
from torch import Tensor

from fer_lightning.data import CLASSES
from fer_lightning.evaluation.calibration import Reliability, best_temperature, reliability, scaled
from fer_lightning.evaluation.stored_runs import DataSet
from fer_lightning.plots import contingency
from fer_lightning.training import ExpressionClassifier, Predictions, predict

LEVEL = 0.95


def wilson_interval(n_right: int, n: int) -> tuple[float, float] | None:
    """Return the 95 % score interval of a probability (Wilson 1927), or None without observations.

    Args:
        n_right: Number of observations in which the event happened.
        n: Number of all observations.
    """
    if n == 0:
        return None
    z = float(norm.ppf(0.5 + LEVEL / 2))
    share, extra = n_right / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    reach = z * math.sqrt(share * (1 - share) / n + extra / (4 * n)) / (1 + extra)
    return max(0.0, middle - reach), min(1.0, middle + reach)


@dataclass(frozen=True)
class McNemar:
    """The result of McNemar's test of whether two classifiers are right equally often.

    Attributes:
        only_first: Points that only the first has right.
        only_second: Points that only the second has right.
        p: Two-sided p-value of McNemar's test in its exact, binomial form, which holds for any
            number of such points; 1 if there are none.
    """

    only_first: int
    only_second: int
    p: float


def mcnemar(first_right: Tensor, second_right: Tensor) -> McNemar:
    """Compare two classifiers on the same points (McNemar 1947).

    Args:
        first_right: Whether the first has each point right, (N,), bool.
        second_right: The same of the second.
    """
    first = int(torch.logical_and(first_right, ~second_right).sum())
    second = int(torch.logical_and(second_right, ~first_right).sum())
    p = float(binomtest(first, first + second).pvalue) if first + second else 1.0
    return McNemar(first, second, p)


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The risk-coverage curve (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017).

    Attributes:
        coverage: Shares of the points that are answered, 1/N, 2/N, ..., 1, (N,).
        risk: Share of wrong answers among the points answered, the surest, (N,).
    """

    coverage: Tensor
    risk: Tensor

    @property
    def area(self) -> float:
        """Return the area under the curve: the mean risk over coverages (Geifman et al. 2019)."""
        return float(self.risk.mean())


def risk_coverage(confidence: Tensor, right: Tensor) -> RiskCoverage:
    """Return the risk at every coverage, from the most confident point alone to all points.

    Points of equal confidence have no order. Inside such a group the risk is its mean over all
    orders of the group, so that the curve depends on nothing but confidences and answers.

    Args:
        confidence: How sure the answers are, (N,), N at least 1.
        right: Whether they are right, (N,), bool.
    """
    order = confidence.argsort(descending=True)
    _, group, sizes = confidence[order].unique_consecutive(return_inverse=True, return_counts=True)
    wrong = (~right[order]).double()
    wrong_of_group = torch.zeros(len(sizes), dtype=torch.double).index_add(0, group, wrong)
    expected = (wrong_of_group / sizes)[group]  # the mean over all orders of each group
    n = torch.arange(1, len(wrong) + 1, dtype=torch.double)
    return RiskCoverage(coverage=n / len(wrong), risk=expected.cumsum(0) / n)


def class_scores(counts: Tensor) -> list[dict[str, float | int | None]]:
    """Return precision, recall and F1 of each class, and its number of points, `n`.

    Args:
        counts: Points by true class (rows) and predicted class, (C, C).

    Returns:
        Figures in [0, 1]; None where nothing was predicted (precision), nothing is there (recall),
        or neither (F1).
    """
    hits = counts.diagonal().tolist()
    predicted, there = counts.sum(0).tolist(), counts.sum(1).tolist()
    return [
        {
            "precision": _share(hit, said),
            "recall": _share(hit, n),
            "f1": _share(2 * hit, said + n),
            "n": n,
        }
        for hit, said, n in zip(hits, predicted, there, strict=True)
    ]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The measures of one network on one split.

    Attributes:
        predictions: The predictions from which the measures are computed.
        threshold: Faces whose highest softmax score is below it are uncertain.
        temperature: What logits are divided by, fitted on the validation faces.
        as_trained: Calibration of the softmax scores.
        scaled: Calibration after temperature scaling.
        curve: Risk against coverage.
        confusion: Faces by true class (rows) and predicted class, (7, 7).
        twinned: Whether each face has a twin among the training faces, (N,), bool; None if it is
            not known.
    """

    predictions: Predictions
    threshold: float
    temperature: float
    as_trained: Reliability
    scaled: Reliability
    curve: RiskCoverage
    confusion: Tensor
    twinned: Tensor | None = None

    def figures(self) -> dict[str, Any]:
        """Return the measures that evaluation.json holds; None where one is undefined."""
        right = self.predictions.right
        below = self.predictions.confidence < self.threshold
        whole = _share_right(right)
        scores = class_scores(self.confusion)
        twins = {}
        if self.twinned is not None:
            twins["with_twin"] = _share_right(right[self.twinned])
            twins["without_twin"] = _share_right(right[~self.twinned])
        return {
            "ce": self.as_trained.nll,
            **{key: whole[key] for key in ("acc", "acc_interval")},
            **twins,
            "threshold": self.threshold,
            "uncertain": _share_right(right[below]),
            "certain": _share_right(right[~below]),
            "aurc": self.curve.area,
            "calibration": _calibration(self.as_trained),
            "temperature": self.temperature,
            "calibrated": _calibration(self.scaled),
            "confusion": self.confusion.tolist(),
            "classes": dict(zip(CLASSES, scores, strict=True)),
        }


def measure(
    model: ExpressionClassifier,
    data: DataSet,
    split: str,
    threshold: float,
    twinned: Tensor | None = None,
) -> Evaluation:
    """Measure a network on a split.

    Args:
        model: A network whose logits are finite.
        data: Its validation faces set the temperature, whatever the split.
        split: `train`, `val` or `test`.
        threshold: See `Evaluation`.
        twinned: Whether each face of the split has a twin among the training faces, (N,), bool.
    """
    validation = predict(model, data.splits.val)
    temperature = best_temperature(validation.log_proba, validation.faces.labels)
    predictions = validation if split == "val" else predict(model, getattr(data.splits, split))
    labels = predictions.faces.labels
    if twinned is not None:  # in the order of the predictions
        twinned = twinned[getattr(data.splits, split).index.argsort(stable=True)]
    return Evaluation(
        predictions=predictions,
        threshold=threshold,
        temperature=temperature,
        as_trained=reliability(predictions.log_proba, labels),
        scaled=reliability(scaled(predictions.log_proba, temperature), labels),
        curve=risk_coverage(predictions.confidence, predictions.right),
        confusion=contingency(labels, predictions.predicted, len(CLASSES), len(CLASSES)),
        twinned=twinned,
    )


def _share_right(right: Tensor) -> dict[str, Any]:
    """Return the number of faces, the accuracy, and its 95 % interval."""
    n, n_right = len(right), int(right.sum())
    return {
        "n": n,
        "acc": n_right / n if n else None,
        "acc_interval": wilson_interval(n_right, n),
    }


def _calibration(shown: Reliability) -> dict[str, float]:
    return {name: getattr(shown, name) for name in ("ece", "nll", "brier")}
