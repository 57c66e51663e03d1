"""The end of Lightning's training when a signal came."""

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from fer_lightning.interruption import stop_if_waiting, take_signals_back


class StopOnSignal(Checkpoint):
    """Ends a training once the epoch in which a signal came is over and saved.

    It is a `Checkpoint`, and the last of them, so that all that is written of an epoch is.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        take_signals_back()  # Lightning's own handler would end the epoch in its middle

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        stop_if_waiting()
