"""Faces that the project draws itself: the data set that needs no download."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.drawing.action_units import sample_units
from fer_lightning.data.drawing.landmarks import Identity, Photo
from fer_lightning.data.drawing.rendering import render
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.data.image_size import SIZE, require_image_size
from fer_lightning.errors import require_integer

N_FACES = {"train": 3374, "val": 419, "test": 385}
CLASS_COUNTS = (437, 457, 424, 758, 441, 459, 1202)  # of the Toronto Face Dataset
GRAIN = 0.02  # standard deviation of the noise, 1 is white

# Mean and standard deviation of what varies from face to face; units in `Identity` and `Photo`.
IDENTITY = {
    "face_width": (1.0, 0.05),
    "jaw_width": (0.70, 0.06),
    "chin": (1.0, 0.03),
    "brow_height": (0.27, 0.022),
    "brow_thickness": (0.05, 0.012),
    "brow_tone": (0.2, 0.07),
    "eye_distance": (0.41, 0.018),
    "eye_width": (0.235, 0.016),
    "eye_opening": (0.125, 0.013),
    "eye_tilt": (0.06, 0.07),
    "iris_tone": (0.25, 0.08),
    "nose_length": (0.40, 0.03),
    "nose_width": (0.165, 0.018),
    "mouth_height": (0.76, 0.025),
    "mouth_width": (0.36, 0.028),
    "lip_thickness": (1.0, 0.2),
    "lip_tone": (0.78, 0.07),
    "skin_tone": (0.78, 0.07),
    "age": (0.5, 0.2),
    "hair_tone": (0.3, 0.1),
    "hair_volume": (0.14, 0.05),
    "hair_length": (-0.1, 0.12),
    "hairline": (-0.98, 0.1),
    "parting": (0.0, 0.2),
}
PHOTO = {
    "roll": (0.0, 0.025),
    "yaw": (0.0, 0.08),
    "pitch": (0.0, 0.035),
    "scale": (18.5, 0.3),
    "shift_x": (0.0, 0.35),
    "shift_y": (-1.0, 0.35),
    "gaze_x": (0.0, 0.025),
    "gaze_y": (0.0, 0.01),
    "light_x": (0.0, 0.18),
    "light_y": (-0.45, 0.22),
    "ambient": (0.36, 0.07),
    "background": (0.42, 0.11),
    "background_slope": (0.0, 0.2),
    "gain": (0.97, 0.08),
    "contrast": (1.6, 0.12),
    "blur": (0.06, 0.024),
    "cover_x": (0.0, 0.4),
    "cover_tone": (0.45, 0.16),
}
ODDS = {
    "long_hair": 0.35,
    "beard": 0.15,
    "glasses": 0.1,
    "sunglasses": 0.025,
    "scarf": 0.025,
    "bar": 0.025,
    "hand": 0.025,
}
LONG_HAIR = 1.7  # face units longer than short hair


@dataclass(frozen=True)
class Synthetic:
    """Synthetic faces of the seven expressions, in the numbers of the Toronto Face Dataset.

    Attributes:
        seed: Which faces; each seed gives other people, expressions and photographs.
        image_size: Side of the pictures in pixels; people and expressions are the same at any.
    """

    name: ClassVar[str] = "synthetic"
    seed: int = 0
    image_size: int = SIZE

    def __post_init__(self) -> None:
        require_integer("seed", self.seed, 0)
        require_image_size(self.image_size)

    def files(self) -> list[Path]:
        """Return the files of code that draw the faces, as other code draws other faces."""
        drawing = Path(__file__).parents[1] / "drawing"
        return [Path(__file__), *sorted(drawing.glob("*.py"))]

    def read(self) -> FaceSplits:
        """Draw 3,374 faces for training, 419 for validation and 385 for testing."""
        rng = np.random.default_rng(self.seed)
        return FaceSplits(
            **{
                split: draw_faces(draw_labels(n, rng), rng, self.image_size)
                for split, n in N_FACES.items()
            }
        )


def draw_labels(n: int, rng: np.random.Generator) -> Tensor:
    """Return `n` shuffled labels, (n,), whose counts follow `CLASS_COUNTS` by largest remainder."""
    quotas = n * np.array(CLASS_COUNTS) / sum(CLASS_COUNTS)
    counts = np.floor(quotas).astype(int)
    largest = np.argsort(counts - quotas, kind="stable")[: n - counts.sum()]
    counts[largest] += 1
    return torch.from_numpy(rng.permutation(np.repeat(np.arange(len(CLASSES)), counts)))


def draw_faces(labels: Tensor, rng: np.random.Generator, image_size: int = SIZE) -> Faces:
    """Draw one face for each label, (N,)."""
    N = len(labels)
    images = render(sample_units(labels, rng), *sample_people(N, rng), image_size)
    noise = rng.standard_normal((N, 1, SIZE, SIZE), dtype=np.float32)
    if image_size != SIZE:  # by a generator of its own, so that the next faces are the same people
        noise = rng.spawn(1)[0].standard_normal(images.shape, dtype=np.float32)
    images += GRAIN * torch.from_numpy(noise)
    return Faces(
        images=(images * 255).round().clamp(0, 255).to(torch.uint8),
        labels=labels,
        subjects=torch.full((N,), -1),
        index=torch.arange(N),
    )


def sample_people(n: int, rng: np.random.Generator) -> tuple[Identity, Photo]:
    """Sample who is shown and how, independently of the expression."""
    identity, photo = _normal(IDENTITY, n, rng), _normal(PHOTO, n, rng)
    has = {name: torch.from_numpy(rng.random(n) < odds).float() for name, odds in ODDS.items()}
    identity["hair_length"] += LONG_HAIR * has.pop("long_hair")
    density = torch.from_numpy(rng.uniform(0.3, 1, n)).float()
    who = Identity(**identity, beard=has.pop("beard") * density, glasses=has.pop("glasses"))
    return who, Photo(**photo, **has)


def _normal(
    table: dict[str, tuple[float, float]], n: int, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Sample n normal numbers for each name in the table, cut off at 2.5 standard deviations."""
    draws = torch.from_numpy(rng.standard_normal((len(table), n))).float().clamp(-2.5, 2.5)
    return {
        name: mean + std * draw
        for (name, (mean, std)), draw in zip(table.items(), draws, strict=True)
    }
