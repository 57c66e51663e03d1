"""Which labels out-of-fold networks contradict: confident learning (Northcutt et al. 2021).

C. Northcutt, L. Jiang, I. Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels.
Journal of Artificial Intelligence Research 70, 2021.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Contradictions:
    """Faces whose label is contradicted, the surest first.

    Attributes:
        rows: Their positions, (n,) int64.
        suggested: The class that the networks suggest, (n,) int64.
        margin: p(label) less the largest of the other probabilities, the normalised margin, (n,),
            in [-1, 0).
    """

    rows: Tensor
    suggested: Tensor
    margin: Tensor


def contradicted(proba: Tensor, labels: Tensor) -> Contradictions:
    """Return the faces off the diagonal of the confident joint, by normalised margin.

    A face counts as of class j if p(j | face) is at least t_j, the mean of p(j | face) over the
    faces that are labelled j; if there are several such classes, as of the most probable of them
    (eqs. 1 and 2). Faces that count as of another class than their label says are taken, unless
    their label is the most probable class all the same.

    Args:
        proba: Out-of-sample probabilities of the classes, (N, C).
        labels: Given labels, (N,) int64.
    """
    thresholds = class_thresholds(proba, labels)
    confident = proba.where(proba >= thresholds, -torch.inf)  # (N, C)
    strongest, counted = confident.max(-1)
    off_diagonal = strongest.isfinite() & (counted != labels) & (proba.argmax(-1) != labels)
    rows = off_diagonal.nonzero().flatten()
    own = labels[:, None]
    others = proba.scatter(-1, own, -torch.inf).amax(-1)
    margin = (proba.gather(-1, own).squeeze(-1) - others)[rows]
    order = margin.argsort(stable=True)
    return Contradictions(rows[order], counted[rows][order], margin[order])


def class_thresholds(proba: Tensor, labels: Tensor) -> Tensor:
    """Return the mean p(j | face) of the faces labelled j (eq. 2), (C,); infinite without any."""
    C = proba.shape[-1]
    own = proba.gather(-1, labels[:, None]).squeeze(-1)
    sums = torch.zeros(C, dtype=proba.dtype).index_add(0, labels, own)
    counts = torch.bincount(labels, minlength=C)
    return torch.where(counts > 0, sums / counts, torch.inf)
