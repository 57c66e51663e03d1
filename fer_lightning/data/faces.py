"""The faces of a data set in memory, split for training, validation and testing."""

from dataclasses import dataclass

from torch import Tensor

CLASSES = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SIZE = 48
SPLITS = ("train", "val", "test")


class FaceDataError(ValueError):
    """Faces that cannot be read as they were described: the message names file and place."""


@dataclass(frozen=True)
class Faces:
    """Grey faces with their expressions.

    Attributes:
        images: Grey levels, (N, 1, 48, 48), uint8.
        labels: Index into `CLASSES`, (N,), int64.
        subjects: Who is shown, (N,), int64, -1 where unknown.
        index: Position in the source, (N,), int64: the row of an array or a csv file, or the
            position among the sorted file names.
    """

    images: Tensor
    labels: Tensor
    subjects: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class FaceSplits:
    """The three splits of a data set."""

    train: Faces
    val: Faces
    test: Faces
