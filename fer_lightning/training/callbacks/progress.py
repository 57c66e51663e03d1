"""The progress of a training on the terminal."""

import time

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
