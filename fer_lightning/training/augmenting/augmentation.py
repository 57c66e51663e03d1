"""Random changes of the training faces, as functions on a minibatch on the device that trains.

All randomness is a table of numbers, one row a face, which seed and epoch determine. It is drawn on
the CPU, so that every device sees the same faces and a run that goes on within an epoch sees those
that it would have seen.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fer_lightning.errors import require, require_number

if TYPE_CHECKING:  # PyTorch takes a second to import: settings are checked before that
    from torch import Tensor

# The columns of a table of random numbers, uniform in [0, 1) but for the last, the share of a face
# that it keeps of itself where it is mixed with another.
FLIP, TURN, ZOOM, ACROSS, DOWN, BRIGHT, CONTRAST, ERASED, LEFT, TOP, WIDE, HIGH, GREY, KEPT = range(
    14
)
# Sides of a covered rectangle, as shares of the side of a face.
ERASED_LEAST, ERASED_MOST = 0.1, 0.4


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Faces turned, moved, lit and covered at random, and mixed with one another.

    Args:
        flip: Probability of a mirrored face.
        rotation: Degrees by which a face is turned at most, to either side, below 180.
        scale: A face becomes at most 1 + scale times larger, or smaller.
        shift: Share of its side by which a face is moved at most, in each direction, below 1.
        brightness: Grey added or taken at most; white is 1.
        contrast: Grey levels are drawn at most 1 + contrast times farther from their middle, or
            closer.
        erasing: Probability that a rectangle is covered with one grey (Zhong et al., 2020).
        mixup: Both parameters of the Beta distribution from which the share of another face, and of
            its label, is drawn (Zhang et al., 2018); 0 mixes none.
        cutmix: The same for a rectangle out of another face (Yun et al., 2019).

    Raises:
        SettingError: A value breaks its rule.
    """

    flip: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "erasing"):
            value = getattr(self, name)
            require_number(name, value, 0)
            require(value <= 1, name, "be a probability, from 0 to 1", value)
        for name in ("scale", "brightness", "contrast", "mixup", "cutmix"):
            require_number(name, getattr(self, name), 0)
        require_number("rotation", self.rotation, 0, below=180)
        require_number("shift", self.shift, 0, below=1)
        rule = "be 0 where mixup is not, as a face is mixed in one way"
        require(not (self.mixup and self.cutmix), "cutmix", rule, self.cutmix)

    @property
    def moves(self) -> bool:
        """Whether faces are sampled anew, and so lose a part of what is sharp."""
        return bool(self.rotation or self.scale or self.shift)

    def draw(self, n: int, seed: int, epoch: int) -> "Tensor":
        """Return the random numbers of n faces in an epoch, (n, 14), float32, on the CPU."""
        import torch

        rng = np.random.default_rng([seed, epoch])
        table = rng.random((n, KEPT + 1), dtype=np.float32)
        table[:, KEPT] = 1.0
        beta = self.mixup or self.cutmix
        if beta:
            table[:, KEPT] = rng.beta(beta, beta, n)
        return torch.from_numpy(table)

    def __call__(
        self, images: "Tensor", labels: "Tensor", draws: "Tensor"
    ) -> tuple["Tensor", "Tensor"]:
        """Return changed faces and their labels.

        Args:
            images: Grey levels, (B, 1, H, H): integers 0..255, or floats in [0, 1].
            labels: Classes, (B,), or their probabilities, (B, C).
            draws: Rows of `draw`, (B, 14), on the device of the images.

        Returns:
            Faces, (B, 1, H, H), floats in [0, 1]; the labels, or, of mixed faces, (B, C)
            probabilities.
        """
        import torch.nn.functional as F

        from fer_lightning.data import CLASSES, prepared
        from fer_lightning.training.augmenting import face_changes as change

        images = prepared(images, None)
        draws = draws.to(images.dtype)
        both = 2 * draws - 1  # the same numbers in [-1, 1)
        if self.moves:
            images = change.moved(
                images,
                mirror=1 - 2 * (draws[:, FLIP] < self.flip).to(images.dtype),
                angle=both[:, TURN] * self.rotation,
                zoom=(both[:, ZOOM] * math.log1p(self.scale)).exp(),
                shift=both[:, [ACROSS, DOWN]] * self.shift,
            )
        elif self.flip:
            images = change.mirrored(images, draws[:, FLIP] < self.flip)
        if self.brightness or self.contrast:
            factor = (both[:, CONTRAST] * math.log1p(self.contrast)).exp()
            images = change.lit(images, both[:, BRIGHT] * self.brightness, factor)
        corner = draws[:, LEFT], draws[:, TOP]
        if self.erasing:
            sides = ERASED_LEAST + (ERASED_MOST - ERASED_LEAST) * draws[:, [WIDE, HIGH]]
            # of a face that is not chosen, a rectangle without width
            sides = sides * (draws[:, [ERASED]] < self.erasing)
            hole = change.rectangles(images, *corner, sides[:, 0], sides[:, 1])
            images = change.covered(images, hole, draws[:, GREY])
        if not (self.mixup or self.cutmix):
            return images, labels
        targets = (F.one_hot(labels, len(CLASSES)) if labels.ndim == 1 else labels).to(images.dtype)
        if self.mixup:
            return change.mixed(images, targets, draws[:, KEPT])
        side = (1 - draws[:, KEPT]).sqrt()
        return change.pasted(images, targets, change.rectangles(images, *corner, side, side))
