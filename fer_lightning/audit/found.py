"""What an audit has found: the rows of `audit.csv`, and what they add up to."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from fer_lightning.audit.confident_learning import Contradictions
from fer_lightning.audit.emptiness import is_empty
from fer_lightning.audit.twins import Pairs, find_pairs, groups_of
from fer_lightning.data import CLASSES, FINDINGS, SPLITS, Faces, FaceSplits
from fer_lightning.plots import as_text, plain_table

PAIRS_OF_SPLITS = [(a, b) for i, a in enumerate(SPLITS) for b in SPLITS[i:]]


@dataclass(frozen=True, eq=False)
class Found:
    """What is wrong with the faces of a data set.

    Attributes:
        faces: All faces: training, validation, test, each in canonical order.
        split: Number of the split of each face, (N,).
        row: Position of each face in its split, (N,).
        fingerprint: Of the data set.
        empty: Whether a picture shows next to nothing, (N,), bool.
        pairs: Faces that show the same, among those that are not empty.
        group: Number of the group of each face, from 1, or 0, (N,).
        labels: Faces whose label networks contradict, or None where no network was asked.
    """

    faces: Faces
    split: np.ndarray
    row: np.ndarray
    fingerprint: str
    empty: Tensor
    pairs: Pairs
    group: np.ndarray
    labels: Contradictions | None

    @classmethod
    def of(cls, splits: FaceSplits, labels: Contradictions | None = None) -> "Found":
        """Look for empty pictures and for those that show the same."""
        faces = Faces.joined(*(part for _, part in splits))
        sizes = list(splits.sizes().values())
        empty = is_empty(faces.images)
        shown = (~empty).nonzero().flatten()
        among = find_pairs(faces.images[shown])
        pairs = Pairs(
            shown[among.first], shown[among.second], among.similarity, among.exact, among.mirrored
        )
        return cls(
            faces=faces,
            split=np.repeat(np.arange(3), sizes),
            row=np.concatenate([np.arange(n) for n in sizes]),
            fingerprint=splits.fingerprint(),
            empty=empty,
            pairs=pairs,
            group=groups_of(pairs, len(faces)),
            labels=labels,
        )

    def name(self, face: int) -> str:
        """Return how a face is called: its split and its place in the source."""
        return f"{SPLITS[self.split[face]]} {int(self.faces.index[face])}"

    def label(self, face: int) -> str:
        """Return the name of a face's class."""
        return CLASSES[self.faces.labels[face]]

    def kind(self, pair: int) -> str:
        """Return the finding that a pair is."""
        if self.pairs.exact[pair]:
            return "exact"
        return "mirrored" if self.pairs.mirrored[pair] else "near"

    @cached_property
    def members(self) -> dict[int, np.ndarray]:
        """Return the faces of each group, by its number."""
        inside = np.flatnonzero(self.group)
        inside = inside[np.argsort(self.group[inside], kind="stable")]
        numbers, starts = np.unique(self.group[inside], return_index=True)
        parts = np.split(inside, starts)[1:]  # before the first is nothing
        return dict(zip(numbers.tolist(), parts, strict=True))

    @cached_property
    def conflicts(self) -> dict[int, np.ndarray]:
        """Return the faces of each group whose labels differ, by its number."""
        labels = self.faces.labels.numpy()
        return {g: m for g, m in self.members.items() if len(np.unique(labels[m])) > 1}

    @cached_property
    def best_pair(self) -> dict[int, int]:
        """Return, for each face with a twin, the pair with the most similar one."""
        best: dict[int, int] = {}
        for pair in self.pairs.similarity.argsort(descending=True, stable=True).tolist():
            for face in (int(self.pairs.first[pair]), int(self.pairs.second[pair])):
                best.setdefault(face, pair)
        return best

    def rows(self) -> Iterator[list[object]]:
        """Return the rows of audit.csv, whose columns are `AUDIT_COLUMNS`."""
        for face, pair in sorted(self.best_pair.items(), key=lambda of: (self.group[of[0]], of[0])):
            other = int(self.pairs.first[pair] + self.pairs.second[pair]) - face
            twin = (self.name(other), f"{float(self.pairs.similarity[pair]):.3f}")
            yield self._row(face, self.kind(pair), *twin)
        for members in self.conflicts.values():
            suggested = self._majority(members)
            yield from (self._row(face, "conflict", suggested=suggested) for face in members)
        for face in self.empty.nonzero().flatten().tolist():
            yield self._row(face, "empty")
        if self.labels:
            for face, label, margin in zip(
                *(each.tolist() for each in (self.labels.rows, self.labels.suggested)),
                self.labels.margin.tolist(),
                strict=True,
            ):
                told = {"margin": f"{margin:.4f}", "suggested": CLASSES[label]}
                yield self._row(face, "label", **told)

    def _row(
        self,
        face: int,
        finding: str,
        partner: str = "",
        similarity: str = "",
        margin: str = "",
        suggested: str = "",
    ) -> list[object]:
        place = (SPLITS[self.split[face]], self.row[face], int(self.faces.index[face]))
        group = self.group[face] or ""
        told = (finding, group, partner, similarity, margin, suggested)
        return [*place, self.label(face), *told, self.fingerprint]

    def _majority(self, members: np.ndarray) -> str:
        """Return the class that more faces of a group have than any other, or an empty text."""
        (first, n), *others = Counter(self.label(face) for face in members).most_common()
        return "" if others and others[0][1] == n else first

    def counts(self) -> dict[str, list[int]]:
        """Return the number of faces of each split by finding."""
        counts = {finding: [0, 0, 0] for finding in FINDINGS}
        for row in self.rows():
            counts[str(row[4])][SPLITS.index(str(row[0]))] += 1
        return counts

    def in_training(self) -> list[tuple[int, int]]:
        """Return, of each split, how many faces have a twin in training, and how many there are."""
        trained = self.group[self.split == 0]
        n_trained = np.bincount(trained, minlength=int(self.group.max(initial=0)) + 1)
        n_trained[0] = 0
        others = n_trained[self.group] - ((self.split == 0) & (self.group > 0))
        having = others > 0
        return [
            (int(having[self.split == s].sum()), int((self.split == s).sum())) for s in range(3)
        ]


def found_text(found: Found) -> str:
    """Return what was found as tables: faces by finding, and pairs by their splits."""
    faces = plain_table("faces", *SPLITS, "all")
    for finding, counts in found.counts().items():
        if finding != "label" or found.labels:
            faces.add_row(finding, *(f"{n:,}" for n in (*counts, sum(counts))))
    pairs = plain_table("pairs", "exact", "near", "mirrored", "labels differ")
    for (a, b), row in _pair_counts(found).items():
        pairs.add_row(f"{a} - {b}", *(f"{n:,}" for n in row))
    groups = f"{len(found.members):,} groups of faces that show the same"
    lines = [as_text(faces), as_text(pairs)]
    lines.append(f"{groups}, of which {len(found.conflicts):,} have different labels")
    for split, (n, n_all) in zip(SPLITS, found.in_training(), strict=True):
        lines.append(f"{n:,} of {n_all:,} {split} faces ({n / n_all:.1%}) have a twin in training")
    return "\n".join(lines)


def _pair_counts(found: Found) -> dict[tuple[str, str], list[int]]:
    """Return, for each pair of splits, pairs by kind, and how many have different labels."""
    counts = {splits: [0, 0, 0, 0] for splits in PAIRS_OF_SPLITS}
    a, b = found.pairs.first, found.pairs.second
    differ = (found.faces.labels[a] != found.faces.labels[b]).tolist()
    order = torch.from_numpy(found.split)
    for pair, (i, j) in enumerate(zip(order[a].tolist(), order[b].tolist(), strict=True)):
        row = counts[SPLITS[i], SPLITS[j]]
        row[("exact", "near", "mirrored").index(found.kind(pair))] += 1
        row[3] += differ[pair]
    return counts
