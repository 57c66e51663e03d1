"""The faces of a data set as points for the mixtures."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from fer_lightning.data import Faces, FaceSplits, Source, loaded_by
from fer_lightning.errors import require, require_integer
from fer_lightning.runs import section
from gmm.faces.features import Features, Pixels, PrincipalComponents
from gmm.faces.settings import MixtureSettings, working_device

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FacePoints:
    """Faces of three splits, and the features in which mixtures see them.

    Attributes:
        source: Where they come from.
        splits: The faces.
        features: How faces become points.
        device: Where the points are.
    """

    source: Source
    splits: FaceSplits
    features: Features
    device: torch.device

    @property
    def n_features(self) -> int:
        """Return the number of features of a point, D."""
        return self.points("train", torch.zeros(1, dtype=torch.int64)).shape[-1]

    def labels(self, split: str) -> Tensor:
        """Return the labels of the faces of a split, (N,), on the CPU."""
        faces: Faces = getattr(self.splits, split)
        return faces.labels

    def points(self, split: str, rows: Tensor | None = None) -> Tensor:
        """Return the points of a split, all or only the given rows, (N, D), float32."""
        faces: Faces = getattr(self.splits, split)
        images = faces.images if rows is None else faces.images[rows]
        return self.features.encode(_pixels(images, self.device))


def face_points(config: DictConfig) -> FacePoints:
    """Read the faces of a configuration, and fit its features to the training faces.

    Raises:
        InputError: A setting breaks its rule, or the faces cannot be read.
    """
    require_integer("seed", config.seed, 0, 2**32 - 1)
    known = ("pixels", "pca")
    require(config.features in known, "features", f"be one of {', '.join(known)}", config.features)
    require_integer("n_features", config.n_features, 1)
    device = working_device(config.device)
    for name, unset in (("contrast", None), ("balanced", False)):
        given = config.data.get(name, unset)
        require(given == unset, f"data.{name}", "be left out for mixtures, which ignore it", given)
    with section("data"):
        source = instantiate(config.data.source, _convert_="all")
        splits = loaded_by(source, config.data).splits
    features = _features(config, splits.train.images, device)
    return FacePoints(source, splits, features, device)


def _features(config: DictConfig, images: Tensor, device: torch.device) -> Features:
    if config.features == "pixels":
        return Pixels()
    faces = _pixels(images, device)
    require_integer("n_features", config.n_features, 1, min(faces.shape))
    return PrincipalComponents.of(faces, config.n_features)


def _pixels(images: Tensor, device: torch.device) -> Tensor:
    """Return the pixels of images in [0, 1], (N, P)."""
    return images.flatten(1).to(device, torch.float32) / 255


def announce(faces: FacePoints, settings: MixtureSettings, folder: Path) -> None:
    """Log which mixtures are about to be fitted, to which faces, and into which folder."""
    several = len(settings.factors) > 1
    log.info(
        "%s mixtures of %s components%s, %s on %s; %s: %s; %s",
        settings.covariance_type,
        ", ".join(map(str, settings.sizes)),
        f" and {', '.join(map(str, settings.factors))} factors" if several else "",
        faces.features,
        faces.device,
        faces.source.name,
        ", ".join(f"{n:,} {split}" for split, n in faces.splits.sizes().items()),
        folder,
    )
