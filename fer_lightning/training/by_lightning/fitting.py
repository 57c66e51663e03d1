"""A run that is trained by Lightning's Trainer."""

import logging
import warnings

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from fer_lightning.data import FaceDataModule
from fer_lightning.errors import InputError, one_line
from fer_lightning.processes import leads, signals_wait
from fer_lightning.training.assembly import faces_of
from fer_lightning.training.by_lightning.callbacks import (
    EpochProgress,
    SavingWithin,
    StopOnSignal,
    Watching,
)
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.by_lightning.lean import make_lean
from fer_lightning.training.by_lightning.trainer import trainer_of
from fer_lightning.training.callbacks.checkpoints import Checkpoints
from fer_lightning.training.run import Run


class Fit:
    """Trains a run by Lightning's Trainer, with its network and faces as Lightning wants them.

    Args:
        run: A run that has not begun.

    Attributes:
        trainer: The Trainer.

    Raises:
        InputError: Lightning refuses its settings.
    """

    def __init__(self, run: Run) -> None:
        _quieten_lightning()
        own = [
            SavingWithin(each) if isinstance(each, Checkpoints) else Watching(each)
            for each in run.watchers
        ]
        self.run = run
        self.trainer = trainer_of(run.config, run.folder, own, run.loggers)
        self.model, self.datamodule = _module(run), faces_of(run.config, FaceDataModule)
        run.model, run.datamodule = self.model, self.datamodule
        run.device = self.trainer.strategy.root_device

    def __call__(self) -> None:
        """Train the network.

        Raises:
            InputError: Lightning cannot do what the settings want.
        """
        run, trainer, faces = self.run, self.trainer, self.datamodule
        callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        shown = run.config.trainer.enable_progress_bar and run.writes
        if leads() and shown and not any(isinstance(each, ProgressBar) for each in callbacks):
            callbacks.append(EpochProgress())
        callbacks.append(StopOnSignal())
        make_lean(trainer, self.model)
        if run.config.compile is True:
            self.model.network.compile()
        last = run.stored.path if run.stored else None
        try:
            with signals_wait():
                trainer.fit(self.model, datamodule=faces, ckpt_path=last, weights_only=True)
        except MisconfigurationException as error:
            raise InputError(f"trainer: {one_line(error)}") from error
        run.epochs = trainer.current_epoch


def _module(run: Run) -> ExpressionClassifier:
    """Return the network of a run as a LightningModule."""
    own = run.model
    module = ExpressionClassifier(
        own.network,
        own.optimizer,
        own.schedule,
        own.loss,
        run.config.trainer.get("log_every_n_steps") is not None,
        own.tta,
        own.contrast,
    )
    module.settings = own.settings
    return module


def _quieten_lightning() -> None:
    """Silence Lightning's advertisements, notes on devices, and a warning on its use of PyTorch."""
    warnings.filterwarnings("ignore", "GPU available but not used")  # who says cpu means it
    warnings.filterwarnings("ignore", "train_dataloader yielded None")  # of a run that goes on
    warnings.filterwarnings("ignore", ".*not resumable")  # it is, see data
    warnings.filterwarnings("ignore", ".*sync_dist")  # a metric synchronises itself
    warnings.filterwarnings("ignore", "You requested to overfit but")  # the order stays, see data
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("lightning.pytorch.profilers", "lightning.pytorch.callbacks"):
        logging.getLogger(name).setLevel(logging.INFO)  # who asks is told
    warnings.filterwarnings("ignore", ".*is smaller than the logging interval")
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
