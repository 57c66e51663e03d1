"""The progress of a run on the terminal."""

import time

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

REFRESH_SECONDS = 0.25
LINE_SECONDS = 10.0


class EpochProgress(Checkpoint):
    """A bar with epoch, cross-entropy and accuracy; away from a terminal a line now and then.

    It draws only when a quarter of a second has passed, without a thread of its own. A `Checkpoint`
    because Lightning calls those after the network has logged its epoch.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._bar: Progress | None = None
        self._drawn = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._drawn = time.monotonic()
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console,
                auto_refresh=False,
            )
            epochs = trainer.max_epochs
            self._bar.add_task("", total=epochs, epoch=0, epochs=epochs, figures="")
            self._bar.start()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        if self._bar:
            part = (batch_idx + 1) / trainer.num_training_batches
            self._show(trainer, trainer.current_epoch + part)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._show(trainer, trainer.current_epoch + 1)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._drawn = 0.0
        self._show(trainer, trainer.current_epoch)
        self._stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _show(self, trainer: L.Trainer, done: float) -> None:
        now = time.monotonic()
        if now - self._drawn < (REFRESH_SECONDS if self._bar else LINE_SECONDS):
            return
        self._drawn = now
        if self._bar:
            epoch = min(int(done) + 1, trainer.max_epochs or 0)
            self._bar.update(
                self._bar.task_ids[0], completed=done, epoch=epoch, figures=_figures(trainer)
            )
            self._bar.refresh()
        else:
            self.console.print(f"epoch {int(done)}/{trainer.max_epochs}  {_figures(trainer)}")

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()


def _figures(trainer: L.Trainer) -> str:
    metrics = trainer.callback_metrics
    shown = (
        f"{split} ce {metrics[f'{split}/ce'].item():.3f} acc {metrics[f'{split}/acc'].item():.1%}"
        for split in ("train", "val")
        if f"{split}/ce" in metrics
    )
    return "  ".join(shown)
