"""The end of Lightning's training when a signal came."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from fer_lightning.interruption import stop_if_waiting, take_signals_back


class StopOnSignal(Checkpoint):
    """Ends a training once what it has done when a signal came is saved.

    It is a `Checkpoint`, and the last of them, so that all that is written is.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        take_signals_back()  # Lightning's own handler would end the epoch in its middle

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.world_size == 1:
            stop_if_waiting()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        stop_if_waiting()
