"""What a network says of each face."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.data.faces import CLASSES, Faces
from fer_lightning.scoring import logits_of

COLUMNS = ("index", "true", "predicted", *CLASSES)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Faces and the probabilities of their classes.

    Attributes:
        faces: N faces in the order of their index.
        log_proba: Log-probabilities of the classes, (N, 7), float64.
    """

    faces: Faces
    log_proba: Tensor

    @cached_property
    def confidence(self) -> Tensor:
        """The highest softmax score of each face, (N,)."""
        return self.log_proba.amax(-1).exp()

    @cached_property
    def predicted(self) -> Tensor:
        """The class with that score, (N,)."""
        return self.log_proba.argmax(-1)

    @cached_property
    def right(self) -> Tensor:
        """Whether it is the true class, (N,), bool."""
        return self.predicted == self.faces.labels

    def rows(self) -> Iterator[list[object]]:
        """The rows of predictions.csv, whose columns are `COLUMNS`."""
        facts = zip(self.faces.index, self.faces.labels, self.predicted, strict=True)
        for (index, label, answer), scores in zip(facts, self.log_proba.exp(), strict=True):
            digits = [f"{score:.9g}" for score in scores.tolist()]
            yield [int(index), CLASSES[label], CLASSES[answer], *digits]


def predict(model: ExpressionClassifier, faces: Faces) -> Predictions:
    """The predictions of a network for faces on its device, returned on the CPU."""
    rows = faces.index.argsort(stable=True)
    log_proba = logits_of(model, faces).double().log_softmax(-1)
    return Predictions(faces.take(rows).to("cpu"), log_proba[rows].cpu())
