"""The DataModule that both networks share."""

import logging

import lightning as L
import torch

from fer_lightning.data.faces import Faces
from fer_lightning.data.minibatches import (
    EVALUATION_BATCH,
    WHOLE,
    Minibatches,
    Share,
    TrainLoader,
    in_order,
)
from fer_lightning.data.resident import ResidentFaces

log = logging.getLogger(__name__)


class FaceDataModule(ResidentFaces, L.LightningDataModule):
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

    done = 0

    def setup(self, stage: str) -> None:
        """Read the faces."""
        log.debug("%d training faces", len(self.splits.train))

    def resident(self, split: str) -> Faces:
        """Return one split on the device that trains (the CPU without a trainer)."""
        if self.trainer:
            self.device = self.trainer.strategy.root_device
        return super().resident(split)

    @property
    def _share(self) -> Share:
        trainer = self.trainer
        return Share(trainer.global_rank, trainer.world_size) if trainer else WHOLE

    def train_dataloader(self) -> TrainLoader:
        """Return the training minibatches in the random order that seed and epoch determine."""
        done, self.done = self.done, 0
        trainer = self.trainer
        return TrainLoader(
            self.prepared("train"),
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
        return in_order(self.prepared(split), EVALUATION_BATCH, self._share, is_ready)

    def transfer_batch_to_device(
        self, batch: object, device: torch.device, dataloader_idx: int
    ) -> object:
        """Return the batch unchanged, as it is on the device already."""
        return batch
