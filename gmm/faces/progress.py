"""The progress of EM on the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from fer_lightning.processes import leads
from gmm.fitting.em import Callback


@contextmanager
def em_progress(
    max_iter: int, describe: Callable[[Tensor], str] | None = None
) -> Iterator[Callback]:
    """Show a progress bar of EM with a line about each iteration; yield the callback for EM.

    Where there is no terminal, only the lines are shown.

    Args:
        max_iter: The largest number of iterations.
        describe: The line about an iteration, from its mean log-likelihoods; none by default.

    Yields:
        The callback for `gmm.fit_em`.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=not leads())
    bar = Progress(
        TextColumn("EM iteration {task.completed}/{task.total}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not (console.is_terminal and leads()),
    )
    task = bar.add_task("", total=max_iter)

    def show(iteration: int, log_likelihood: Tensor) -> None:
        if describe:
            console.print(f"iteration {iteration:3d}  {describe(log_likelihood)}", markup=False)
        bar.update(task, completed=iteration)

    with bar:
        yield show
