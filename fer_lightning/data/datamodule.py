"""The DataModule that both networks share."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import lightning as L
import torch

from fer_lightning.data.contrast import equalised
from fer_lightning.data.faces import Faces, FaceSplits, Source
from fer_lightning.data.findings import DROPPED, require_findings
from fer_lightning.data.loading import loaded
from fer_lightning.data.loading_rules import require_loading
from fer_lightning.data.minibatches import (
    WHOLE,
    Augmentation,
    Minibatches,
    Share,
    TrainLoader,
    in_order,
)
from fer_lightning.errors import require_integer

EVALUATION_BATCH = 512

log = logging.getLogger(__name__)


class FaceDataModule(L.LightningDataModule):
    """Faces of any source, held as uint8 in the memory of the device that trains.

    With a trainer of several processes, each holds all faces and takes its share of a minibatch.

    Args:
        source: Where the faces come from, such as `Fer2013("fer2013.zip")`.
        batch_size: Faces in a training minibatch, over all processes.
        seed: Seed of the order of the training faces.
        cache_dir: Folder where decoded faces are kept, or None to decode them every time.
        cv_folds: Number of folds of cross-validation over training and validation faces together,
            or None for the splits that the source has.
        cv_fold: The fold that validates, from 0.
        balanced: Whether training faces are drawn so that all classes are equally frequent.
        augment: How training faces are changed at random; None leaves them as they are.
        contrast: `equalise` spreads the grey levels of faces evenly, once for all epochs, as the
            classifier, which must be told the same, does with those that come to it otherwise; None
            leaves them as they are.
        drop: An `audit.csv`, whose faces are left out of training, or None.
        drop_findings: By which of its findings.

    Attributes:
        done: Minibatches that the next epoch to be loaded begins after, as they are done already.
        left_out: How many training faces an audit leaves out, once they are read.

    Raises:
        SettingError: A number breaks its rule.
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
        self.done = 0
        self.left_out = 0
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

    def share(self, other: "FaceDataModule") -> None:
        """Use the faces of another data module with the same source and fold instead of copies."""
        self._splits, self._resident = other.splits, other._resident
        self.left_out = other.left_out

    def setup(self, stage: str) -> None:
        """Read the faces."""
        log.debug("%d training faces", len(self.splits.train))

    def resident(self, split: str) -> Faces:
        """Return one split on the device that trains (the CPU without a trainer)."""
        trainer = self.trainer
        device = trainer.strategy.root_device if trainer else torch.device("cpu")
        key = (split, device)
        if key not in self._resident:
            self._resident[key] = getattr(self.splits, split).to(device)
        return self._resident[key]

    def _prepared(self, split: str) -> Faces:
        """Return one split on that device, its grey levels as `contrast` wants them."""
        faces = self.resident(split)
        if self.contrast is None:
            return faces
        key = (f"{split}, {self.contrast}", faces.labels.device)
        if key not in self._resident:
            self._resident[key] = replace(faces, images=equalised(faces.images))
        return self._resident[key]

    @property
    def _share(self) -> Share:
        trainer = self.trainer
        return Share(trainer.global_rank, trainer.world_size) if trainer else WHOLE

    def train_dataloader(self) -> TrainLoader:
        """Return the training minibatches in the random order that seed and epoch determine."""
        done, self.done = self.done, 0
        trainer = self.trainer
        return TrainLoader(
            self._prepared("train"),
            self.batch_size,
            self.seed,
            epoch=trainer.current_epoch if trainer else 0,
            done=done,
            share=self._share,
            # who overfits sees the same few faces in every epoch
            reshuffles=not getattr(trainer, "overfit_batches", 0),
            balanced=self.balanced,
            augment=self.augment,
            are_prepared=self.contrast is not None,
        )

    def val_dataloader(self) -> Minibatches:
        """Return minibatches of the validation faces, in their stored order."""
        return self._in_order("val")

    def test_dataloader(self) -> Minibatches:
        """Return minibatches of the test faces, in their stored order."""
        return self._in_order("test")

    def _in_order(self, split: str) -> Minibatches:
        is_ready = self.contrast is not None
        return in_order(self._prepared(split), EVALUATION_BATCH, self._share, is_ready)

    def transfer_batch_to_device(
        self, batch: object, device: torch.device, dataloader_idx: int
    ) -> object:
        """Return the batch unchanged, as it is on the device already."""
        return batch
