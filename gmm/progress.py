"""The progress of EM on the terminal."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor


class EMProgress:
    """A bar of iterations, and a line about each of them above it.

    Args:
        max_iter: Most iterations.
        describe: The line about an iteration, from its mean log-likelihoods; none by default.
    """

    def __init__(self, max_iter: int, describe: Callable[[Tensor], str] | None = None) -> None:
        self._describe = describe
        self._bar = Progress(
            TextColumn("EM iteration {task.completed}/{task.total}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=(console := Console(stderr=True, highlight=False, soft_wrap=True)),
            transient=True,
            disable=not console.is_terminal,
        )
        self._bar.add_task("", total=max_iter)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, iteration: int, log_likelihood: Tensor) -> None:
        """Show that an iteration is done: the callback of `gmm.fit_em`."""
        if self._describe:
            line = f"iteration {iteration:3d}  {self._describe(log_likelihood)}"
            self._bar.console.print(line, markup=False)
        self._bar.update(self._bar.task_ids[0], completed=iteration)
