"""FER2013 (Goodfellow et al., 2013) as csv, folder or archive, with its official splits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fer_lightning.data.class_names import CLASSES, LEFT_OUT, ClassNames
from fer_lightning.data.faces import FaceSplits, existing_path
from fer_lightning.data.image_size import SIZE, require_image_size
from fer_lightning.data.sources.csv_table import CSV_NAMES, USAGES, find_table
from fer_lightning.data.sources.drawn_splits import DrawnSplits
from fer_lightning.data.sources.ferplus_votes import RULES, Votes
from fer_lightning.data.sources.images import decode_files
from fer_lightning.data.sources.into_splits import split_by_name, table_faces
from fer_lightning.data.sources.picture_names import find_pictures
from fer_lightning.errors import InputError, require
from fer_lightning.files import FileTree, Folder, open_tree


@dataclass(frozen=True)
class Fer2013:
    """FER2013 from a csv file, a folder or an archive.

    Args:
        path: `fer2013.csv`, `icml_face_data.csv` or `train.csv`; or a folder, a zip or a tar
            archive that holds one of these, or pictures named `<class>/<Usage>_<id>.jpg`.
        seed: Seed of the draw of splits that `train.csv` lacks.
        val_fraction: Share of its faces that goes to validation.
        test_fraction: The same for testing.
        classes: What its labels mean beside 0..6, such as `{7: leave_out}`; see `ClassNames`.
        image_size: Side of the faces in pixels, to which they are resampled.
        labels: `fer2013new.csv` of FER+, whose votes take the place of the labels; None keeps those
            of FER2013. Its rows are those of `fer2013.csv`, so pictures cannot be joined to it.
        votes: What becomes of the votes, see `ferplus_votes.py`: `soft` gives faces in training the
            probabilities of their labels, `majority` the label with more than half of the votes.

    Raises:
        InputError: Nothing is there, or a setting breaks its rule.
    """

    name: ClassVar[str] = "fer2013"
    path: str | Path | None
    seed: int = 0
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    classes: Mapping[object, object] | str | None = None
    image_size: int = SIZE
    labels: str | Path | None = None
    votes: str = "soft"

    def __post_init__(self) -> None:
        require(self.votes in RULES, "votes", f"be one of {', '.join(RULES)}", self.votes)
        given = self.labels is not None or self.votes == "soft"
        require(given, "labels", f"be given where votes are {self.votes}", self.labels)
        if self.labels is not None:
            rule = "be null where the votes of FER+ take the place of the labels"
            require(self.classes is None, "classes", rule, self.classes)
        _ = self._draw, self._class_names
        require_image_size(self.image_size)
        self.files()

    @property
    def _draw(self) -> DrawnSplits:
        return DrawnSplits(self.seed, self.val_fraction, self.test_fraction)

    @property
    def _class_names(self) -> ClassNames:
        return ClassNames(self.classes, dict(enumerate(CLASSES)))

    def files(self) -> list[Path]:
        """Return the files and folders that the faces are read from."""
        faces = existing_path(self.path, "fer2013.csv, the folder or an archive of FER2013")
        if self.labels is None:
            return [faces]
        return [faces, existing_path(self.labels, "fer2013new.csv of FER+", "labels")]

    def read(self) -> FaceSplits:
        """Read all faces.

        Raises:
            InputError: A file is not what it should be; the message names file and row or picture.
        """
        path = self.files()[0]
        if path.suffix.lower() == ".csv":
            return self._read_csv(Folder(path.parent), path.name, str(path))
        tree = open_tree(path)
        table = find_table(tree)
        if table and table.split("/")[-1] in CSV_NAMES:
            return self._read_csv(tree, table, f"{path}: {table}")
        rule = "be null for pictures, whose names have no row numbers to join FER+ by"
        require(self.labels is None, "labels", rule, self.labels)
        return self._read_pictures(tree)

    def _read_csv(self, tree: FileTree, name: str, where: str) -> FaceSplits:
        votes = None if self.labels is None else Votes(self.files()[1], self.votes)
        return table_faces(tree, name, where, self._class_names, self._draw, self.image_size, votes)

    def _read_pictures(self, tree: FileTree) -> FaceSplits:
        where, found = str(tree.path), find_pictures(tree)
        places = [picture.place for picture in found]
        labels = self._class_names.labels([p.found for p in found], where, places)
        kept = np.flatnonzero(labels != LEFT_OUT)
        names = [found[i].name for i in kept]
        splits = np.array([_split_of(tree, name) for name in names], dtype=str)
        return split_by_name(
            splits,
            lambda: decode_files(tree.path, names, self.image_size),
            labels[kept],
            np.full(len(kept), -1),
            where,
        )


def _split_of(tree: FileTree, name: str) -> str:
    prefix = re.match(r"([A-Za-z]+)_", name.split("/")[-1])
    if prefix is None or prefix[1] not in USAGES:
        raise InputError(
            f"{tree.path}: names of pictures must begin with {'_, '.join(USAGES)}_, got {name!r}; "
            "data=folder reads sets without these prefixes"
        )
    return USAGES[prefix[1]]
