"""Pictures in a folder per class, with or without a folder per split above it."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fer_lightning.data.faces import CLASSES, SIZE, Faces, FaceSplits, existing_path, require_faces
from fer_lightning.data.sources.images import SUFFIXES, decode_files
from fer_lightning.data.splitting import SPLITS, split_faces
from fer_lightning.errors import InputError, SettingError, require_integer, require_number
from fer_lightning.files import FileTree, open_tree

SYNONYMS = {
    "anger": ("anger", "angry"),
    "disgust": ("disgust", "disgusted"),
    "fear": ("fear", "fearful", "afraid"),
    "happy": ("happy", "happiness"),
    "sad": ("sad", "sadness"),
    "surprise": ("surprise", "surprised"),
    "neutral": ("neutral", "neutrality", "normal"),
}
LABELS = {word: CLASSES.index(name) for name, words in SYNONYMS.items() for word in words}
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Picture:
    """A picture file: its name in the tree, its label, the split of the folder above, if any."""

    name: str
    label: int
    split: str | None


def find_pictures(tree: FileTree, leave_out: Collection[str] = ()) -> list[Picture]:
    """Return all pictures of a tree, in the order of their names.

    Args:
        tree: Where they are; files that are no pictures by their suffix are passed over.
        leave_out: Class folders to pass over, in any case of letters.

    Raises:
        InputError: A picture stands in no class folder, or in one that is none of the seven.
    """
    left_out = {folder.lower() for folder in leave_out}
    names = [name for name in tree.names() if name.lower().endswith(SUFFIXES)]
    found = (_picture(tree, name, left_out) for name in names)
    return [picture for picture in found if picture]


def _picture(tree: FileTree, name: str, left_out: Collection[str]) -> Picture | None:
    *above, folder, _ = ["", "", *name.split("/")]
    if folder.lower() in left_out:
        return None
    label = LABELS.get(folder.lower())
    if label is None:
        what = f"class folder {folder!r}" if folder else "the folder of a picture"
        raise InputError(
            f"{tree.path}: {what} must be one of {', '.join(CLASSES)} or a synonym, got {name!r}"
            + (f"; leave it out with data=folder 'data.leave_out=[{folder}]'" if folder else "")
        )
    return Picture(name, label, SPLIT_FOLDERS.get(above[-1].lower()))


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
        """Return the file or folder that the faces are read from."""
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
        """Return the number of the person on each picture, (N,), or -1 without a pattern."""
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
        """Return the name of the split of each picture, (N,)."""
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
        part = split_faces(labels[rows], subjects[rows], fractions, self.seed, len(CLASSES))
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
