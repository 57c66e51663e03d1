"""Any set of pictures in a folder per class."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fer_lightning.data.class_folders import Picture, find_pictures
from fer_lightning.data.faces import SIZE, SPLITS, Faces, FaceSplits
from fer_lightning.data.file_tree import open_tree
from fer_lightning.data.images import decode_files
from fer_lightning.data.source import existing_path, require_faces
from fer_lightning.data.splitting import split_faces
from fer_lightning.errors import InputError, SettingError, require_integer, require_number


@dataclass(frozen=True)
class ClassFolders:
    """Pictures of any size, grey or colour, in `<class>/` or `<split>/<class>/`.

    Splits that have no folder of their own are drawn, stratified by class, from the training
    pictures.

    Args:
        path: A folder or a zip archive.
        seed: Seed of the draw.
        val_fraction: Share of the pictures that are drawn from which goes to validation.
        test_fraction: The same for testing.
        subject_pattern: Regular expression with one group that finds the person in a file name
            (not in its folders), such as `(S\\d+)_` for CK+; nobody then stands in two splits.
        leave_out: Class folders to pass over, such as `contempt`.

    Raises:
        InputError: Nothing is there, or a setting breaks its rule.
    """

    name: ClassVar[str] = "folder"
    path: str | Path | None
    seed: int = 0
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    subject_pattern: str | None = None
    leave_out: Sequence[str] = ()

    def __post_init__(self) -> None:
        require_integer("seed", self.seed, 0)
        require_number("val_fraction", self.val_fraction, 0, open_below=True, below=1)
        require_number(
            "test_fraction", self.test_fraction, 0, open_below=True, below=1 - self.val_fraction
        )
        if self.subject_pattern is not None:
            rule = "be a regular expression with one group"
            try:
                n_groups = re.compile(self.subject_pattern).groups
            except (re.error, TypeError) as error:
                raise SettingError("subject_pattern", rule, self.subject_pattern) from error
            if n_groups != 1:
                raise SettingError("subject_pattern", rule, self.subject_pattern)
        self.files()

    def files(self) -> list[Path]:
        """What the faces are read from."""
        return [existing_path(self.path, "a folder or zip archive with a folder per class")]

    def read(self) -> FaceSplits:
        """Read all pictures and split them.

        Raises:
            InputError: A picture cannot be read or placed; the message names it.
        """
        tree = open_tree(self.files()[0])
        where = str(tree.path)
        pictures = find_pictures(tree, self.leave_out)
        if not pictures:
            raise InputError(f"{where}: must hold pictures in a folder per class, got none")
        labels = np.array([picture.label for picture in pictures])
        subjects = self._subjects(where, pictures)
        splits = self._splits(where, pictures, labels, subjects)
        require_faces(splits, where)
        pixels = decode_files(tree.path, [picture.name for picture in pictures], SIZE)
        rows = [np.flatnonzero(splits == split) for split in SPLITS]
        return FaceSplits(
            *(Faces.from_arrays(pixels[r], labels[r], subjects[r], index=r) for r in rows)
        )

    def _subjects(self, where: str, pictures: list[Picture]) -> np.ndarray:
        """Number of the person on each picture, (N,), -1 without a pattern."""
        if self.subject_pattern is None:
            return np.full(len(pictures), -1)
        people = []
        for picture in pictures:
            match = re.search(self.subject_pattern, picture.name.split("/")[-1])
            if match is None or match[1] is None:
                raise InputError(
                    f"{where}: subject_pattern {self.subject_pattern!r} must find every file name, "
                    f"got none in {picture.name!r}"
                )
            people.append(match[1])
        return np.unique(people, return_inverse=True)[1]

    def _splits(
        self, where: str, pictures: list[Picture], labels: np.ndarray, subjects: np.ndarray
    ) -> np.ndarray:
        """Name of the split of each picture, (N,)."""
        given = {picture.split for picture in pictures}
        if None in given and len(given) > 1:
            outside = next(picture.name for picture in pictures if picture.split is None)
            raise InputError(
                f"{where}: all pictures or none must stand below train, val or test, "
                f"got {outside!r}"
            )
        splits = np.array([picture.split or "train" for picture in pictures], dtype="<U5")
        shares = {"val": self.val_fraction, "test": self.test_fraction}
        drawn = {split: share for split, share in shares.items() if split not in given}
        rows = np.flatnonzero(splits == "train")
        fractions = [1 - sum(drawn.values()), *drawn.values()]
        part = split_faces(labels[rows], subjects[rows], fractions, self.seed)
        splits[rows] = np.array(["train", *drawn])[part]
        self._require_separate_subjects(where, pictures, splits, subjects)
        return splits

    def _require_separate_subjects(
        self, where: str, pictures: list[Picture], splits: np.ndarray, subjects: np.ndarray
    ) -> None:
        first: dict[int, int] = {}
        for i, subject in enumerate(subjects):
            j = first.setdefault(int(subject), i) if subject >= 0 else i
            if splits[i] != splits[j]:
                raise InputError(
                    f"{where}: nobody may stand in two splits, got {pictures[j].name!r} in "
                    f"{splits[j]} and {pictures[i].name!r} in {splits[i]}"
                )
