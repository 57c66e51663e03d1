"""The faces of a data set in memory, its splits and folds, and what a source of faces offers."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.splitting import SPLITS, deal_folds, require_fold
from fer_lightning.errors import InputError, SettingError, require_path


@dataclass(frozen=True)
class Faces:
    """Grey faces with their expressions.

    Attributes:
        images: Grey levels, (N, 1, H, H), uint8; H is 48 unless `image_size` says otherwise.
        labels: Index into `CLASSES`, (N,), int64.
        subjects: Who is shown, (N,), int64, -1 where unknown.
        index: Position in the source, (N,), int64: the row of an array or a csv file, or the
            position among the sorted file names, from 0.
        targets: Probabilities of the classes, (N, 7), float32, which take the place of the labels
            in training; or None.
    """

    images: Tensor
    labels: Tensor
    subjects: Tensor
    index: Tensor
    targets: Tensor | None = None

    @classmethod
    def from_arrays(
        cls,
        pixels: np.ndarray,
        labels: np.ndarray,
        subjects: np.ndarray | None = None,
        index: np.ndarray | None = None,
        targets: np.ndarray | None = None,
    ) -> "Faces":
        """Return faces from uint8 pixels, (N, H * H) or (N, H, H).

        Labels, subjects and index are (N,) each, targets (N, 7).
        """
        n = len(labels)
        subjects = np.full(n, -1) if subjects is None else subjects
        index = np.arange(n) if index is None else index
        side = math.isqrt(math.prod(pixels.shape[1:]))
        images = np.ascontiguousarray(pixels, dtype=np.uint8).reshape(n, 1, side, side)
        return cls(
            torch.from_numpy(images),
            *(torch.from_numpy(np.array(a, dtype=np.int64)) for a in (labels, subjects, index)),
            *([] if targets is None else [torch.from_numpy(np.array(targets, dtype=np.float32))]),
        )

    @classmethod
    def joined(cls, *parts: "Faces") -> "Faces":
        """Return the faces of all parts, one after the other, which all have targets, or none."""
        targets = [part.targets for part in parts if part.targets is not None]
        return cls(
            torch.cat([part.images for part in parts]),
            torch.cat([part.labels for part in parts]),
            torch.cat([part.subjects for part in parts]),
            torch.cat([part.index for part in parts]),
            torch.cat(targets) if targets else None,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "Faces":
        """Return the faces at these positions, (n,) int64."""
        return self._each(lambda part: part[rows])

    def to(self, device: torch.device | str) -> "Faces":
        """Return the same faces on another device."""
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Faces":
        return Faces(
            change(self.images),
            change(self.labels),
            change(self.subjects),
            change(self.index),
            None if self.targets is None else change(self.targets),
        )

    def class_counts(self) -> list[int]:
        """Return the number of faces of each of the seven classes."""
        return torch.bincount(self.labels, minlength=len(CLASSES)).tolist()


@dataclass(frozen=True)
class FaceSplits:
    """The three splits of a data set."""

    train: Faces
    val: Faces
    test: Faces

    def __iter__(self) -> Iterator[tuple[str, Faces]]:
        return iter((split, getattr(self, split)) for split in SPLITS)

    def sizes(self) -> dict[str, int]:
        """Return the number of faces in each split."""
        return {split: len(faces) for split, faces in self}

    def in_canonical_order(self) -> "FaceSplits":
        """Return the same splits, each in an order that depends on its faces alone.

        The csv file, the folder and the archive of one data set hold its faces in different orders;
        sorted by their pixels, all three give the same minibatches and so the same numbers.
        """
        return FaceSplits(*(faces.take(_rank(faces)) for _, faces in self))

    def fingerprint(self) -> str:
        """Return a hash of the pixels, labels and targets of all splits, in their order."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for split, faces in self:
            digest.update(f"{split} {len(faces)} ".encode())
            digest.update(faces.images.numpy().data)
            digest.update(faces.labels.numpy().data)
            if faces.targets is not None:
                digest.update(faces.targets.numpy().data)
        return digest.hexdigest()[:16]


def _rank(faces: Faces) -> Tensor:
    """Return the positions, (N,), that sort the faces by a 64-bit hash of pixels, then label."""
    pixels = faces.images.numpy().reshape(len(faces), -1)
    odd = -pixels.shape[1] % 8  # 48 x 48 are whole words
    words = (np.pad(pixels, ((0, 0), (0, odd))) if odd else pixels).view(np.uint64)
    n_words: int = words.shape[1]
    multipliers = np.random.default_rng(0).integers(2**64, size=n_words, dtype=np.uint64) | 1
    keys = words @ multipliers
    keys ^= keys >> np.uint64(32)  # the low bits of a product know little of the high pixels
    return torch.from_numpy(np.lexsort((faces.labels.numpy(), keys * multipliers[0])))


class Source(Protocol):
    """A data set that can be read: a frozen dataclass whose fields are its settings."""

    @property
    def name(self) -> str:
        """Return the name of the data set, in letters, digits, `_` and `-`."""

    def files(self) -> list[Path]:
        """Return the files and folders that, with the settings, decide what `read` returns."""

    def read(self) -> FaceSplits:
        """Read and decode all faces."""


def existing_path(path: str | Path | int | None, what: str, name: str = "path") -> Path:
    """Return the path of a setting after checking that it exists.

    Raises:
        InputError: None was given, or nothing is there that could be read.
    """
    if path is None or str(path) == "":
        raise SettingError(name, f"be given: {what}", path)
    if type(path) is int:
        path = str(path)  # a folder named 2013, as Hydra's grammar reads it
    require_path(name, path, what)
    path = Path(str(path)).expanduser()
    if not path.exists():
        raise InputError(f"no such file or folder: {path}")
    if not (path.is_file() or path.is_dir()):  # pipes and devices may never end
        raise InputError(f"{path}: must be a file or a folder")
    return path


def require_faces(splits: np.ndarray, where: str) -> None:
    """Raise an `InputError` if one of the splits has no faces."""
    for split in SPLITS:
        if not (splits == split).any():
            raise InputError(f"{where}: the {split} split must have faces, got none")


def cross_validated(splits: FaceSplits, cv_folds: int | None, cv_fold: int | None) -> FaceSplits:
    """Return the splits in which one fold validates and the others train.

    Training and validation faces together are dealt out to stratified folds, which depend on the
    faces alone; subjects stay whole where they are known. The test split is left as it is.

    Args:
        splits: The splits that a data set has.
        cv_folds: Number of folds, or None for the splits as they are.
        cv_fold: The fold that validates, from 0.

    Raises:
        SettingError: There is no such fold, or there are more folds than can have faces.
    """
    require_fold(cv_folds, cv_fold)
    if cv_folds is None:
        return splits
    faces = Faces.joined(splits.train, splits.val)
    fold = deal_folds(faces.labels.numpy(), faces.subjects.numpy(), cv_folds, len(CLASSES))
    n_filled = len(np.unique(fold))
    if n_filled < cv_folds:
        raise SettingError("cv_folds", f"be at most {n_filled}, or folds lack faces", cv_folds)
    validates = torch.from_numpy(fold == cv_fold)
    return FaceSplits(faces.take(~validates), faces.take(validates), splits.test)
