"""How far probabilities of classes can be trusted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar
from torch import Tensor

from fer_lightning.plots import BLUE, DPI, INK, VERMILION, plain

N_BINS = 15  # as Guo et al. (2017)
LOG_TEMPERATURES = (-5.0, 15.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """How well confidence, the probability of the predicted class, matches accuracy.

    Attributes:
        counts: Number of points in each bin of confidence, (B,); equal bins from 0 to 1.
        confidence: Mean confidence in each bin, (B,); 0 in an empty bin.
        accuracy: Share of right answers in each bin, (B,); 0 in an empty bin.
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
        """Return the measures that a summary shows, by name."""
        names = ("ece", "nll", "brier", "mean_confidence", "mean_accuracy", "certain")
        return {name: getattr(self, name) for name in names}


def reliability(log_proba: Tensor, labels: Tensor, n_bins: int = N_BINS) -> Reliability:
    """Return how well log p(class | x), (N, C), is calibrated on the true classes, (N,)."""
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
    """Return the mean of -log p(true class), in nats."""
    return -float(log_proba.gather(-1, labels.unsqueeze(-1)).mean())


def brier_score(log_proba: Tensor, labels: Tensor) -> float:
    """Return the Brier score of log p(class | x), (N, C), for the true classes, (N,).

    It is the mean squared distance of the probabilities from the one-hot true classes.
    """
    truth = F.one_hot(labels, log_proba.shape[-1])
    return float((log_proba.exp() - truth).square().sum(-1).mean())


def scaled(log_proba: Tensor, temperature: float) -> Tensor:
    """Return log-probabilities, (N, C), after temperature scaling (Guo et al. 2017, eq. 9)."""
    return (log_proba / temperature).log_softmax(-1)


def best_temperature(log_proba: Tensor, labels: Tensor) -> float:
    """Return the temperature that minimises the negative log-likelihood of the true classes.

    The loss is convex in 1 / T, so a bounded search over log T finds its minimum.
    """

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(scaled(log_proba, math.exp(log_temperature)), labels)

    found = minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded")
    return math.exp(float(found.x))


def reliability_diagram(panels: Mapping[str, Reliability], chance: float) -> Figure:
    """Draw accuracy against confidence, in one panel for each set of probabilities.

    Args:
        panels: From the title of each panel to what it shows.
        chance: The lowest possible confidence, 1 / number of classes.
    """
    figure = Figure(figsize=(4.3 * len(panels), 4.6), dpi=DPI, layout="constrained")
    axes_of = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, shown) in zip(axes_of, panels.items(), strict=True):
        edges = np.linspace(0, 1, len(shown.counts) + 1)
        middles, filled = (edges[1:] + edges[:-1]) / 2, shown.counts.numpy() > 0
        right, sure = shown.accuracy.numpy()[filled], shown.confidence.numpy()[filled]
        axes.bar(middles[filled], right, 0.92 * edges[1], color=BLUE, label="right answers")
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--", label="calibrated")
        axes.plot(sure, sure, "D", color=VERMILION, markersize=5, label="mean confidence")
        for x, n in zip(middles[filled], shown.counts.numpy()[filled], strict=True):
            axes.text(x, 1.03, _short(int(n)), ha="center", size=7, color=INK)
        axes.set_xlim(max(0, math.floor(chance * 10) / 10), 1.02)
        axes.set_ylim(0, 1.08)
        axes.set_title(
            f"{title}\nECE {shown.ece:.3f}: {shown.mean_confidence:.1%} sure, "
            f"{shown.mean_accuracy:.1%} right", size=10, color=INK, loc="left",
        )  # fmt: skip
        plain(axes, "p(answer | face), in bins; above, their faces", "")
    axes_of[0].set_ylabel("share of right answers", color=INK)
    handles, labels = axes_of[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _short(n: int) -> str:
    """Return a count as a text short enough to stand above a bar, such as 1.2k."""
    return str(n) if n < 1000 else f"{n / 1000:.1f}k"
