"""Stratified splits and folds: every part gets its share of every class."""

import numpy as np

from fer_lightning.data.faces import CLASSES


def split_faces(
    labels: np.ndarray, subjects: np.ndarray, fractions: list[float], seed: int
) -> np.ndarray:
    """The part to which each face goes, (N,), drawn at random.

    Faces of one subject stay together. A subject of -1 is unknown: such a face stands alone.

    Args:
        labels: Class of each face, (N,).
        subjects: Who is shown, (N,), or -1.
        fractions: Share of each part; they add up to 1.
        seed: Seed of the draw.
    """
    rng = np.random.default_rng(seed)
    part = np.empty(len(labels), dtype=np.int64)
    known = subjects >= 0
    for label in range(len(CLASSES)):
        rows = np.flatnonzero(~known & (labels == label))
        part[rng.permutation(rows)] = _shares(len(rows), fractions)
    part[known] = _split_subjects(labels[known], subjects[known], fractions, rng)
    return part


def deal_folds(labels: np.ndarray, subjects: np.ndarray, n_folds: int) -> np.ndarray:
    """The fold of cross-validation to which each face goes, (N,): a function of the faces alone.

    Faces of unknown people are dealt out in turn, class by class, so that the folds' counts of any
    class differ by one at most. Faces of one subject stay together.

    Args:
        labels: Class of each face, (N,).
        subjects: Who is shown, (N,), or -1 where unknown.
        n_folds: Number of folds.
    """
    rng = np.random.default_rng(0)
    fold = np.empty(len(labels), dtype=np.int64)
    known = subjects >= 0
    rows = rng.permutation(np.flatnonzero(~known))
    by_class = rows[np.argsort(labels[rows], kind="stable")]
    fold[by_class] = np.arange(len(rows)) % n_folds
    equal = [1 / n_folds] * n_folds
    fold[known] = _split_subjects(labels[known], subjects[known], equal, rng)
    return fold


def _shares(n: int, fractions: list[float]) -> np.ndarray:
    """Part numbers of n faces in ascending order, apportioned by largest remainder, (n,)."""
    exact = np.array(fractions) * n
    counts = np.floor(exact).astype(np.int64)
    largest = np.argsort(counts - exact, kind="stable")[: n - counts.sum()]
    counts[largest] += 1
    return np.repeat(np.arange(len(fractions)), counts)


def _split_subjects(
    labels: np.ndarray, subjects: np.ndarray, fractions: list[float], rng: np.random.Generator
) -> np.ndarray:
    """Deal whole subjects out, the largest first, each to the part that lacks its classes most.

    Where several lack them alike, it is the one that lacks most faces, so that none stays empty.
    """
    _, subject = np.unique(subjects, return_inverse=True)
    n_subjects = subject.max(initial=-1) + 1
    counts = np.zeros((n_subjects, len(CLASSES)))
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
