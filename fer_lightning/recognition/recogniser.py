"""Expressions of the faces in a picture, from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fer_lightning.data import CLASSES
from fer_lightning.errors import InputError, require
from fer_lightning.photos import Detections, FaceDetector, Picture, as_picture, crops, grey
from fer_lightning.recognition.weights import Loaded, load

if TYPE_CHECKING:
    from PIL.Image import Image

FACES = ("found", "given")
BATCH = 1024  # crops that go through the network at once


@dataclass(frozen=True)
class Face:
    """A face in a picture, and its expression.

    Attributes:
        box: Left, top, right and bottom, in pixels of the picture as its viewer sees it.
        expression: The most probable of the seven classes.
        probabilities: Of all classes, by name; they add up to 1, and are calibrated: of faces with
            a probability of 0.8, about 80 % are of that class, as far as faces are like those of
            FER2013.
        score: How sure the detector is that it is a face, in [0, 1].
        landmarks: x and y of both eyes, the nose and both corners of the mouth, left ones first as
            the picture shows them; nothing for faces that were not looked for.
    """

    box: tuple[float, float, float, float]
    expression: str
    probabilities: dict[str, float]
    score: float = 1.0
    landmarks: tuple[tuple[float, float], ...] = ()

    @property
    def probability(self) -> float:
        """Return the probability of the expression."""
        return self.probabilities[self.expression]


class Recogniser:
    """A network that tells the expressions of faces in pictures.

    ```python
    from fer_lightning import Recogniser

    recogniser = Recogniser.load()
    for face in recogniser.predict("photo.jpg"):
        print(face.expression, face.probability, face.box)
    ```

    Args:
        loaded: The network, as `load` of this room returns it.
        detector: Finds faces; None makes one when it is first needed.
        device: Where the network runs.
    """

    def __init__(
        self,
        loaded: Loaded,
        detector: FaceDetector | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.name, self.image_size = loaded.name, loaded.image_size
        self.calibrated = loaded.calibrated
        self.network = loaded.network.to(device)
        self.device = torch.device(device)
        self._detector = detector

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        *,
        which: str = "best",
        detector: FaceDetector | None = None,
        device: str | torch.device = "cpu",
    ) -> "Recogniser":
        """Return a recogniser.

        Args:
            model: A run's folder, a checkpoint file, a file of weights that `export` wrote, or None
                for the weights that are shipped.
            which: `best` or `last`: which network of a run.
            detector: Finds faces; None takes the default one, which needs the extra `photo`.
            device: Where the network runs.

        Raises:
            InputError: There is no network, or it cannot be made here.
        """
        return cls(load(model, which), detector, device)

    @property
    def detector(self) -> FaceDetector:
        """Return what finds the faces.

        Raises:
            InputError: The packages of the extra `photo` are not installed.
        """
        if self._detector is None:
            self._detector = FaceDetector()
        return self._detector

    def predict(self, image: "str | Path | Image | np.ndarray", faces: str = "found") -> list[Face]:
        """Return the faces in a picture, from left to right; none if there are none.

        Args:
            image: A path; a picture of Pillow; or levels, (H, W), (H, W, 3) or (H, W, 4): red,
                green, blue and opacity, uint8, or uint16, or floats in [0, 1].
            faces: `found` looks for faces; `given` takes the picture for one face, cut out as those
                of FER2013 are.

        Raises:
            InputError: It cannot be read.
        """
        require(faces in FACES, "faces", f"be one of {', '.join(FACES)}", faces)
        return self.in_picture(as_picture(image), faces)

    def in_picture(self, picture: Picture, faces: str = "found") -> list[Face]:
        """Return the faces in a picture that is read already; see `predict`."""
        if faces == "given":
            height, width = picture.pixels.shape[:2]
            box = (0.0, 0.0, width * picture.scale, height * picture.scale)
            (probabilities,) = self.probabilities([grey(picture.pixels)])
            return [_face(box, probabilities)]
        found = self.detector.detect(picture.pixels)
        probabilities = self.probabilities(crops(picture.pixels, found, self.image_size))
        return faces_of(found.scaled(picture.scale), probabilities)

    def probabilities(self, faces: np.ndarray | torch.Tensor | Sequence[Any]) -> np.ndarray:
        """Return calibrated probabilities of faces that are cut out already, (N, 7).

        Args:
            faces: Grey levels 0..255, uint8: (N, H, W), (N, 1, H, W), or a sequence of (H, W) of
                any sizes. Those of another size than the network's are resampled.

        Raises:
            InputError: They are of another type or shape.
        """
        images = _sized(faces, self.image_size)
        with torch.inference_mode():
            parts = [self.network(part.to(self.device))[1].cpu() for part in images.split(BATCH)]
        return torch.cat(parts).numpy() if len(images) else np.empty((0, len(CLASSES)), np.float32)


def faces_of(found: Detections, probabilities: np.ndarray) -> list[Face]:
    """Return faces that were found, with the probabilities of their classes, (N, 7)."""
    rows = zip(found.boxes, probabilities, found.scores, found.landmarks, strict=True)
    return [_face(box, p, float(score), marks) for box, p, score, marks in rows]


def _face(
    box: Sequence[float],
    probabilities: np.ndarray,
    score: float = 1.0,
    landmarks: np.ndarray | Sequence[Sequence[float]] = (),
) -> Face:
    left, top, right, bottom = (float(side) for side in box)
    by_name = {name: float(p) for name, p in zip(CLASSES, probabilities, strict=True)}
    marks = tuple((float(x), float(y)) for x, y in landmarks)
    best = CLASSES[int(np.argmax(probabilities))]
    return Face((left, top, right, bottom), best, by_name, score, marks)


def _sized(faces: np.ndarray | torch.Tensor | Sequence[Any], size: int) -> torch.Tensor:
    """Return faces as the network takes them, (N, 1, size, size), uint8."""
    if isinstance(faces, torch.Tensor):
        faces = faces.cpu().numpy()
    each = [np.asarray(face) for face in faces]
    each = [face[0] if face.ndim == 3 and len(face) == 1 else face for face in each]
    for face in each:
        if face.dtype != np.uint8 or face.ndim != 2 or not face.size:
            rule = "be grey levels, (H, W) or (1, H, W), uint8"
            raise InputError(f"each face must {rule}, got {face.shape}, {face.dtype}")
    shaped = [face if face.shape == (size, size) else _resampled(face, size) for face in each]
    stacked = np.stack(shaped) if shaped else np.empty((0, size, size), np.uint8)
    return torch.from_numpy(np.ascontiguousarray(stacked)).unsqueeze(1)


def _resampled(face: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(face).resize((size, size), Image.Resampling.LANCZOS))
