"""How good a network is on a split, how sure it is, and how far that can be trusted."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fer_lightning.calibration import (
    Reliability,
    best_temperature,
    reliability,
    scaled,
)
from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.confusion import class_scores, contingency
from fer_lightning.data.faces import CLASSES
from fer_lightning.predictions import Predictions, predict
from fer_lightning.proportions import wilson_interval
from fer_lightning.selective_risk import RiskCoverage, risk_coverage
from fer_lightning.stored_faces import DataSet


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The measures of one network on one split.

    Attributes:
        predictions: What they are made from.
        threshold: Faces whose highest softmax score is below it are uncertain.
        temperature: What logits are divided by, fitted on the validation faces.
        as_trained: Calibration of the softmax scores.
        scaled: Calibration after temperature scaling.
        curve: Risk against coverage.
        confusion: Faces by true class (rows) and predicted class, (7, 7).
    """

    predictions: Predictions
    threshold: float
    temperature: float
    as_trained: Reliability
    scaled: Reliability
    curve: RiskCoverage
    confusion: Tensor

    def figures(self) -> dict[str, Any]:
        """The measures of evaluation.json; None where one does not exist."""
        right = self.predictions.right
        below = self.predictions.confidence < self.threshold
        whole = _share_right(right)
        scores = class_scores(self.confusion)
        return {
            "ce": self.as_trained.nll,
            **{key: whole[key] for key in ("acc", "acc_interval")},
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


def measure(model: ExpressionClassifier, data: DataSet, split: str, threshold: float) -> Evaluation:
    """Measure a network on a split.

    Args:
        model: A network whose logits are finite.
        data: Its validation faces set the temperature, whatever the split.
        split: `train`, `val` or `test`.
        threshold: See `Evaluation`.
    """
    validation = predict(model, data.splits.val)
    temperature = best_temperature(validation.log_proba, validation.faces.labels)
    predictions = validation if split == "val" else predict(model, getattr(data.splits, split))
    labels = predictions.faces.labels
    return Evaluation(
        predictions=predictions,
        threshold=threshold,
        temperature=temperature,
        as_trained=reliability(predictions.log_proba, labels),
        scaled=reliability(scaled(predictions.log_proba, temperature), labels),
        curve=risk_coverage(predictions.confidence, predictions.right),
        confusion=contingency(labels, predictions.predicted, len(CLASSES), len(CLASSES)),
    )


def _share_right(right: Tensor) -> dict[str, Any]:
    """How many faces, the accuracy, and its 95 % interval."""
    n, n_right = len(right), int(right.sum())
    return {
        "n": n,
        "acc": n_right / n if n else None,
        "acc_interval": wilson_interval(n_right, n),
    }


def _calibration(shown: Reliability) -> dict[str, float]:
    return {name: getattr(shown, name) for name in ("ece", "nll", "brier")}
