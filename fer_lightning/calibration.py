"""How far probabilities of classes can be trusted."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor

N_BINS = 15  # as Guo et al. (2017)
LOG_TEMPERATURES = (-5.0, 15.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence, the probability of the class that is answered, against how often it is right.

    Attributes:
        counts: Points of each bin of confidence, (B,); the bins have one width, from 0 to 1.
        confidence: Their mean confidence, (B,), 0 where there are none.
        accuracy: The share of right answers among them, (B,), 0 where there are none.
        ece: Expected calibration error (Guo et al. 2017, eq. 3), in [0, 1].
        nll: Mean of -log p(true class), in nats.
        brier: Mean squared distance of the probabilities from the truth, summed over the classes
            (Brier 1950), in [0, 2].
        certain: The share of points with a confidence above 0.999.
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor
    ece: float
    nll: float
    brier: float
    certain: float

    @property
    def mean_confidence(self) -> float:
        return self._mean(self.confidence)

    @property
    def mean_accuracy(self) -> float:
        return self._mean(self.accuracy)

    def _mean(self, per_bin: Tensor) -> float:
        return float((self.counts * per_bin).sum() / self.counts.sum())

    def figures(self) -> dict[str, float]:
        """The numbers that a summary shows."""
        names = ("ece", "nll", "brier", "mean_confidence", "mean_accuracy", "certain")
        return {name: getattr(self, name) for name in names}


def reliability(log_proba: Tensor, labels: Tensor, n_bins: int = N_BINS) -> Reliability:
    """Hold log p(class | x), (N, C), against the classes, (N,)."""
    log_confidence, answers = log_proba.max(-1)
    confidence = log_confidence.exp()
    right = (answers == labels).double()
    bins = (confidence * n_bins).long().clamp(max=n_bins - 1)
    counts = torch.bincount(bins, minlength=n_bins).double()
    conf, acc = (
        torch.bincount(bins, weights=weights.double(), minlength=n_bins) / counts.clamp_min(1)
        for weights in (confidence, right)
    )
    return Reliability(
        counts=counts,
        confidence=conf,
        accuracy=acc,
        ece=float((counts * (acc - conf).abs()).sum() / len(labels)),
        nll=negative_log_likelihood(log_proba, labels),
        brier=brier_score(log_proba, labels),
        certain=float((confidence > 0.999).double().mean()),
    )


def negative_log_likelihood(log_proba: Tensor, labels: Tensor) -> float:
    """Mean of -log p(true class), in nats."""
    return -float(log_proba.gather(-1, labels.unsqueeze(-1)).mean())


def brier_score(log_proba: Tensor, labels: Tensor) -> float:
    """Mean of the squared distances between probabilities, (N, C), and true classes, (N,)."""
    truth = F.one_hot(labels, log_proba.shape[-1])
    return float((log_proba.exp() - truth).square().sum(-1).mean())


def scaled(log_proba: Tensor, temperature: float) -> Tensor:
    """Log-probabilities, (N, C), softened by a temperature (Guo et al. 2017, eq. 9)."""
    return (log_proba / temperature).log_softmax(-1)


def best_temperature(log_proba: Tensor, labels: Tensor) -> float:
    """The temperature that makes the true classes most probable: a convex search in 1 / T."""

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(scaled(log_proba, math.exp(log_temperature)), labels)

    found = minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded")
    return math.exp(float(found.x))
