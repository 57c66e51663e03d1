"""Stratified splits and folds, and the rules of how faces reach a network; without PyTorch."""

import numpy as np

from fer_lightning.errors import require, require_integer

SPLITS = ("train", "val", "test")
CONTRASTS = (None, "equalise")


def split_faces(
    labels: np.ndarray, subjects: np.ndarray, fractions: list[float], seed: int, n_classes: int
) -> np.ndarray:
    """Return the number of the part to which each face goes, (N,), drawn at random.

    Faces of one subject stay together. A subject of -1 is unknown: such a face stands alone.

    Args:
        labels: Class of each face, (N,).
        subjects: Who is shown, (N,), or -1.
        fractions: Share of each part; they add up to 1.
        seed: Seed of the draw.
        n_classes: Number of classes.
    """
    rng = np.random.default_rng(seed)
    part = np.empty(len(labels), dtype=np.int64)
    known = subjects >= 0
    for label in range(n_classes):
        rows = np.flatnonzero(~known & (labels == label))
        part[rng.permutation(rows)] = _shares(len(rows), fractions)
    part[known] = _split_subjects(labels[known], subjects[known], fractions, rng, n_classes)
    return part


def deal_folds(
    labels: np.ndarray, subjects: np.ndarray, n_folds: int, n_classes: int
) -> np.ndarray:
    """Return the fold of cross-validation of each face, (N,); it depends on the faces alone.

    Faces of unknown people are dealt out in turn, class by class, so that the folds' counts of any
    class differ by one at most. Faces of one subject stay together.

    Args:
        labels: Class of each face, (N,).
        subjects: Who is shown, (N,), or -1 where unknown.
        n_folds: Number of folds.
        n_classes: Number of classes.
    """
    rng = np.random.default_rng(0)
    fold = np.empty(len(labels), dtype=np.int64)
    known = subjects >= 0
    rows = rng.permutation(np.flatnonzero(~known))
    by_class = rows[np.argsort(labels[rows], kind="stable")]
    fold[by_class] = np.arange(len(rows)) % n_folds
    equal = [1 / n_folds] * n_folds
    fold[known] = _split_subjects(labels[known], subjects[known], equal, rng, n_classes)
    return fold


def _shares(n: int, fractions: list[float]) -> np.ndarray:
    """Return the part numbers of n faces, (n,), in ascending order, shared by largest remainder."""
    exact = np.array(fractions) * n
    counts = np.floor(exact).astype(np.int64)
    largest = np.argsort(counts - exact, kind="stable")[: n - counts.sum()]
    counts[largest] += 1
    return np.repeat(np.arange(len(fractions)), counts)


def _split_subjects(
    labels: np.ndarray,
    subjects: np.ndarray,
    fractions: list[float],
    rng: np.random.Generator,
    n_classes: int,
) -> np.ndarray:
    """Assign whole subjects, the largest first, each to the part that most lacks its classes.

    Where several lack them alike, it is the part that lacks most faces, so that none stays empty.
    The result is the part of each face, (N,).
    """
    _, subject = np.unique(subjects, return_inverse=True)
    n_subjects = subject.max(initial=-1) + 1
    counts = np.zeros((n_subjects, n_classes))
    np.add.at(counts, (subject, labels), 1)
    total = counts.sum(0)
    lacking = np.outer(fractions, total)  # (parts, classes)
    part = np.empty(n_subjects, dtype=np.int64)
    order = rng.permutation(n_subjects)
    for s in order[np.argsort(-counts[order].sum(1), kind="stable")]:
        need = (lacking / np.maximum(total, 1)) @ counts[s]
        part[s] = np.lexsort((-lacking.sum(1), -need))[0]
        lacking[part[s]] -= counts[s]
    return part[subject]


def require_contrast(contrast: str | None) -> None:
    """Raise a `SettingError` unless grey levels can be prepared so."""
    require(contrast in CONTRASTS, "contrast", "be equalise or null", contrast)


def require_fold(cv_folds: int | None, cv_fold: int | None) -> None:
    """Raise a `SettingError` unless cv_folds and a valid cv_fold are given, or neither is."""
    if cv_folds is None:
        require(cv_fold is None, "cv_folds", "be given where cv_fold is", cv_folds)
    else:
        require_integer("cv_folds", cv_folds, 2)
        require_integer("cv_fold", cv_fold, 0, cv_folds - 1)
