"""What an exported mixture and the library are compared on: faces, or points that are drawn."""

import logging
from dataclasses import dataclass

import torch
from omegaconf import DictConfig
from torch import Tensor

from fer_lightning.errors import InputError, SettingError, require
from fer_lightning.evaluation import DataSet, chosen_faces, run_faces
from gmm.faces.image_graph import decoded, encoded, image_size
from gmm.faces.stored_mixtures import StoredMixture
from gmm.mixtures.mixture import Mixture

N_DRAWN = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Compared:
    """What both see.

    Attributes:
        inputs: What the file is given: images, uint8, (N, 1, H, H), or the points.
        points: (N, D), float32.
        words: What that is.
    """

    inputs: Tensor
    points: Tensor
    words: str


def compared(config: DictConfig, stored: StoredMixture, takes: str) -> Compared:
    """Return the validation faces that are chosen, or those of the run, or drawn points.

    Args:
        config: The composed configuration of `conf/gmm/export.yaml`.
        stored: The mixture.
        takes: `images` or `points`: what the file takes.

    Raises:
        InputError: The faces that are chosen cannot be read, or do not go with the mixture.
    """
    if stored.features is None:
        if config.get("data") is not None:
            rule = "be null for a mixture of which nothing says how faces become its points"
            raise SettingError("data", rule, "faces")
        x = drawn(stored.mixture)
        return Compared(x, x, "drawn points")
    faces = chosen_faces(config) or _of_run(stored)
    if faces is None:
        images, words = decoded(drawn(stored.mixture), stored.features), "drawn faces"
    else:
        images, words = faces.splits.val.images, f"val faces of {faces.name}"
        size = image_size(stored.features, stored.mixture.n_features)
        require(images.shape[-1] == size, "data.image_size", f"be {size} here", images.shape[-1])
    points = encoded(images, stored.features)
    return Compared(images if takes == "images" else points, points, words)


def _of_run(stored: StoredMixture) -> DataSet | None:
    """Return the faces of the mixture's run, or None if they are no longer there."""
    if stored.folder is None:
        return None
    try:
        return run_faces(stored.folder)
    except InputError as error:
        log.warning("%s; drawn faces take their place", error)
        return None


def drawn(mixture: Mixture) -> Tensor:
    """Return points drawn from a mixture, or in equal shares from those of all classes, (N, D)."""
    generator = torch.Generator().manual_seed(0)
    each = [mixture] if not mixture.batch_shape else [mixture[c] for c in range(len(mixture.means))]
    n = -(-N_DRAWN // len(each))
    return torch.cat([one.sample(n, generator)[0] for one in each]).float()
