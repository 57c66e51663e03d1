"""Stratified splits: every part gets its share of every class."""

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
    """Deal whole subjects out, the largest first, each to the part that lacks its classes most."""
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
        part[s] = need.argmax()
        lacking[part[s]] -= counts[s]
    return part[subject]
