"""Which faces of a video's frames are of the same person, and how sure that makes one of them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fer_lightning.data import CLASSES
from fer_lightning.recognition.recogniser import Face

LEAST_OVERLAP = 0.3  # of a face with the place where the person was last
FORGOTTEN = 1.0  # seconds after which a person who was not seen is another one
SMOOTHING = 0.3  # seconds: the width of the mean over time


@dataclass
class Tracks:
    """Follows persons from frame to frame by where their faces are.

    Attributes:
        seconds: When each person was seen, by number.
        probabilities: Of the classes, each time, by number.
    """

    seconds: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    probabilities: dict[int, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    _boxes: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def follow(self, faces: Sequence[Face], seconds: float) -> list[int]:
        """Return the numbers of the persons whose faces these are, from 1, new ones for new faces.

        The pairs of a face and a person that overlap most are joined first.
        """
        known = [n for n in self._boxes if seconds - self.seconds[n][-1] <= FORGOTTEN]
        pairs = [
            (_overlap(f.box, self._boxes[n]), i, n) for i, f in enumerate(faces) for n in known
        ]
        numbers: dict[int, int] = {}
        for overlap, i, n in sorted(pairs, reverse=True):
            if overlap >= LEAST_OVERLAP and i not in numbers and n not in numbers.values():
                numbers[i] = n
        for i, face in enumerate(faces):
            n = numbers.setdefault(i, len(self._boxes) + 1)
            self._boxes[n] = face.box
            self.seconds[n].append(seconds)
            self.probabilities[n].append([face.probabilities[name] for name in CLASSES])
        return [numbers[i] for i in range(len(faces))]

    def longest(self, n: int) -> list[int]:
        """Return the numbers of the persons who were seen most often, at most n of them."""
        return sorted(self.seconds, key=lambda number: -len(self.seconds[number]))[:n]

    def smooth(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return when a person was seen, (T,), and means of the probabilities around it, (T, 7)."""
        times = np.array(self.seconds[number])
        return times, smoothed(times, np.array(self.probabilities[number]))


def smoothed(times: np.ndarray, values: np.ndarray, width: float = SMOOTHING) -> np.ndarray:
    """Return means of values, (T, C), around each time, (T,), weighted by a Gaussian of a width."""
    means = np.empty(values.shape)
    for row, time in enumerate(times):  # of the whole window at once would be T times T
        first, last = np.searchsorted(times, (time - 3 * width, time + 3 * width))
        weights = np.exp(-0.5 * ((times[first:last] - time) / width) ** 2)
        means[row] = weights @ values[first:last] / weights.sum()
    return means


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the share of the area of two boxes that they have in common."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0
