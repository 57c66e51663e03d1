"""The progress of a training on the terminal."""

import time

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

REFRESH_SECONDS = 0.25
LINE_SECONDS = 10.0


class EpochBar:
    """A bar with epochs and figures; away from a terminal a line now and then.

    It draws only when a quarter of a second has passed, without a thread of its own.

    Args:
        epochs: Number of epochs.
        shows: Whether anything is drawn at all.
    """

    def __init__(self, epochs: int, shows: bool = True) -> None:
        self.epochs, self.shows = epochs, shows
        self.console = Console(stderr=True)
        self._drawn = time.monotonic()
        self._bar: Progress | None = None
        if self.console.is_terminal and shows:
            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}/{task.total:.0f}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console,
                auto_refresh=False,
            )
            self._bar.add_task("", total=epochs, epoch=0, figures="")
            self._bar.start()

    @property
    def is_due(self) -> bool:
        """Return whether it is time to draw again."""
        return time.monotonic() - self._drawn >= (REFRESH_SECONDS if self._bar else LINE_SECONDS)

    def draw(self, done: float, figures: str) -> None:
        """Show the number of epochs done, which may be a fraction, and a text of figures."""
        self._drawn = time.monotonic()
        if not self.shows:
            return
        if self._bar:
            epoch = min(int(done) + 1, self.epochs)
            self._bar.update(self._bar.task_ids[0], completed=done, epoch=epoch, figures=figures)
            self._bar.refresh()
        else:
            self.console.print(f"epoch {int(done)}/{self.epochs}  {figures}")

    def stop(self) -> None:
        """Stop updating the bar, and leave it as it is."""
        if self._bar:
            self._bar.stop()


class EpochProgress(Checkpoint):
    """Shows the epochs of a run with cross-entropy and accuracy.

    A `Checkpoint` because Lightning calls those after the network has logged its epoch.
    """

    def __init__(self) -> None:
        self._bar: EpochBar | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._bar = EpochBar(trainer.max_epochs or 0)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        if self._bar and self._bar.is_due and self._bar.console.is_terminal:
            part = (batch_idx + 1) / trainer.num_training_batches
            self._bar.draw(trainer.current_epoch + part, _figures(trainer))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._bar and self._bar.is_due:
            self._bar.draw(trainer.current_epoch + 1, _figures(trainer))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._bar:
            self._bar.draw(trainer.current_epoch, _figures(trainer))
            self._bar.stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
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
