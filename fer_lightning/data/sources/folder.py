"""Pictures in a folder per class, with or without a folder per split above it, and their like."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path

import numpy as np

from fer_lightning.data.class_names import LEFT_OUT, ClassNames
from fer_lightning.data.faces import FaceSplits, existing_path
from fer_lightning.data.image_size import SIZE, require_image_size
from fer_lightning.data.sources.csv_table import find_table
from fer_lightning.data.sources.drawn_splits import DrawnSplits
from fer_lightning.data.sources.images import decode_files
from fer_lightning.data.sources.into_splits import split_by_name, table_faces
from fer_lightning.data.sources.labelled_pictures import LabelledPictures, require_pattern
from fer_lightning.data.sources.picture_names import Picture, first_group, picture_names
from fer_lightning.errors import InputError, require
from fer_lightning.files import FileTree, Folder, open_tree

# Settings of what file names say.
OF_NAMES = ("label_pattern", "subject_pattern", "split_pattern", "view_pattern", "label_list")

log = getLogger(__name__)


@dataclass(frozen=True)
class ClassFolders:
    """Pictures of any size, grey or colour, in `<class>/` or `<split>/<class>/`.

    The class of a picture can also stand in its name or in a list; and in the place of pictures
    there may be one csv file of faces. Splits that the set lacks are drawn, stratified by class,
    from the training faces.

    Args:
        path: A folder, a zip or a tar archive; or a csv file.
        seed: Seed of the draw.
        val_fraction: Share of the faces that are drawn from which goes to validation.
        test_fraction: The same for testing.
        subject_pattern: Regular expression with one group that finds the person in a file name
            (not in its folders), such as `(S\\d+)_` for CK+; nobody then stands in two splits.
        leave_out: Classes to leave out, such as `contempt`.
        classes: What names of classes mean, such as `{1: surprise, 8: leave_out}`; see
            `ClassNames`.
        codes: What is known of the data set's own names of classes.
        label_pattern: Regular expression with one group that finds the class in a file name,
            whatever folder it stands in.
        label_list: Name of a text file that lists pictures with their classes; that of RAF-DB is
            used where it is there, any other has to be there.
        split_pattern: Regular expression with one group that finds the split in a file name.
        view_pattern: Regular expression with one group that finds the view of a face, such as its
            angle, in a file name.
        views: The views to take.
        image_size: Side of the faces in pixels, to which pictures are resampled.
        name: Name of the data set, in letters, digits, `_` and `-`.

    Raises:
        InputError: Nothing is there, or a setting breaks its rule.
    """

    path: str | Path | None
    seed: int = 0
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    subject_pattern: str | None = None
    leave_out: Sequence[str] = ()
    classes: Mapping[object, object] | str | None = None
    codes: Mapping[object, object] | None = None
    label_pattern: str | None = None
    label_list: str | None = None
    split_pattern: str | None = None
    view_pattern: str | None = None
    views: Sequence[str] | None = None
    image_size: int = SIZE
    name: str = "folder"

    def __post_init__(self) -> None:
        _ = self._draw, self._class_names, self._labels
        require_pattern("subject_pattern", self.subject_pattern)
        is_plain = isinstance(self.name, str) and re.fullmatch(r"[\w-]{1,40}", self.name, re.ASCII)
        require(bool(is_plain), "name", "be letters, digits, _ and -", self.name)
        require_image_size(self.image_size)
        self.files()

    @property
    def _draw(self) -> DrawnSplits:
        return DrawnSplits(self.seed, self.val_fraction, self.test_fraction)

    @property
    def _class_names(self) -> ClassNames:
        return ClassNames(self.classes, self.codes, self.leave_out)

    @property
    def _labels(self) -> LabelledPictures:
        return LabelledPictures(
            self.label_pattern, self.label_list, self.split_pattern, self.view_pattern, self.views
        )

    def files(self) -> list[Path]:
        """Return the file or folder that the faces are read from."""
        return [existing_path(self.path, "a folder, a zip or a tar archive, or a csv file")]

    def read(self) -> FaceSplits:
        """Read all faces and split them.

        Raises:
            InputError: A face cannot be read or placed; the message names it.
        """
        path = self.files()[0]
        if path.suffix.lower() == ".csv":
            return self._read_csv(Folder(path.parent), path.name, str(path))
        tree = open_tree(path)
        names = picture_names(tree)
        table = None if names else find_table(tree)
        if table:
            return self._read_csv(tree, table, f"{path}: {table}")
        if not names:
            raise InputError(f"{path}: must hold pictures in a folder per class, got none")
        return self._read_pictures(tree, names)

    def _read_csv(self, tree: FileTree, name: str, where: str) -> FaceSplits:
        unused = [setting for setting in OF_NAMES if getattr(self, setting)]
        if unused:
            log.info("%s: has no file names, so %s is not used", where, ", ".join(unused))
        return table_faces(tree, name, where, self._class_names, self._draw, self.image_size)

    def _read_pictures(self, tree: FileTree, names: Sequence[str]) -> FaceSplits:
        where = str(tree.path)
        found = self._labels.find(tree, names)
        places = [picture.place for picture in found]
        all_labels = self._class_names.labels([p.found for p in found], where, places)
        kept = np.flatnonzero(all_labels != LEFT_OUT)
        pictures, labels = [found[i] for i in kept], all_labels[kept]
        if not pictures:
            raise InputError(f"{where}: must hold pictures of the seven classes, got none")
        subjects = self._subjects(where, pictures)
        splits = self._splits(where, pictures, labels, subjects)
        return split_by_name(
            splits,
            lambda: decode_files(tree.path, [p.name for p in pictures], self.image_size),
            labels,
            subjects,
            where,
        )

    def _subjects(self, where: str, pictures: list[Picture]) -> np.ndarray:
        """Return the number of the person on each picture, (N,), or -1 without a pattern."""
        if self.subject_pattern is None:
            return np.full(len(pictures), -1)
        people = []
        for picture in pictures:
            person = first_group(self.subject_pattern, picture.name)
            if person is None:
                raise InputError(
                    f"{where}: subject_pattern {self.subject_pattern!r} must find every file name, "
                    f"got none in {picture.name!r}"
                )
            people.append(person)
        numbers = {person: number for number, person in enumerate(sorted(set(people)))}
        return np.array([numbers[person] for person in people])

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
        said = np.array([picture.split or "train" for picture in pictures])
        splits = self._draw.complete(said, labels, subjects)
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
