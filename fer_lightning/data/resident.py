"""The faces of a run in the memory of the device that trains."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from fer_lightning.data.contrast import equalised
from fer_lightning.data.faces import Faces, FaceSplits, Source
from fer_lightning.data.findings import DROPPED, require_findings
from fer_lightning.data.loading import loaded
from fer_lightning.data.loading_rules import require_loading
from fer_lightning.data.minibatches import Augmentation
from fer_lightning.errors import require_integer


class ResidentFaces:
    """Faces of any source, held as uint8 in the memory of the device that trains.

    It is what a run needs of them without Lightning; arguments and errors are those of
    `FaceDataModule`, which deals these faces out to a Trainer.

    Attributes:
        device: The device that trains: the CPU, until another one is set.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int = 100,
        seed: int = 0,
        cache_dir: str | Path | None = None,
        cv_folds: int | None = None,
        cv_fold: int | None = None,
        drop: str | Path | None = None,
        drop_findings: Sequence[str] = DROPPED,
        balanced: bool = False,
        augment: Augmentation | None = None,
        contrast: str | None = None,
    ) -> None:
        super().__init__()
        require_integer("seed", seed, 0)
        require_loading(batch_size, cv_folds, cv_fold, balanced, contrast)
        require_findings(drop_findings)
        self.source = source
        self.batch_size = batch_size
        self.seed = seed
        self.cache_dir = cache_dir
        self.cv_folds = cv_folds
        self.cv_fold = cv_fold
        self.balanced = balanced
        self.augment = augment
        self.contrast = contrast
        self.drop = drop
        self.drop_findings = drop_findings
        self.left_out = 0
        self.device = torch.device("cpu")
        self._splits: FaceSplits | None = None
        self._resident: dict[tuple[str, torch.device], Faces] = {}

    @property
    def splits(self) -> FaceSplits:
        """Return the three splits, on the CPU; read on first use."""
        if self._splits is None:
            folds = (self.cv_folds, self.cv_fold)
            found = loaded(self.source, self.cache_dir, *folds, self.drop, self.drop_findings)
            self._splits, self.left_out = found.splits, found.left_out
        return self._splits

    def share(self, other: "ResidentFaces") -> None:
        """Use the faces of another with the same source and fold instead of copies."""
        self._splits, self._resident = other.splits, other._resident
        self.left_out = other.left_out

    def resident(self, split: str) -> Faces:
        """Return one split on the device that trains."""
        key = (split, self.device)
        if key not in self._resident:
            self._resident[key] = getattr(self.splits, split).to(self.device)
        return self._resident[key]

    def prepared(self, split: str) -> Faces:
        """Return one split on that device, its grey levels as `contrast` wants them."""
        faces = self.resident(split)
        if self.contrast is None:
            return faces
        key = (f"{split}, {self.contrast}", faces.labels.device)
        if key not in self._resident:
            self._resident[key] = replace(faces, images=equalised(faces.images))
        return self._resident[key]
