"""How far a command is, and how long it will take, where a person looks on."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FEW = 3  # files that need no bar


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal, below what is printed, and yield what moves it one further.

    Args:
        name: What is counted.
        total: How many there are; 0 if that is not known.
    """
    if not sys.stderr.isatty() or 0 < total <= FEW:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    # What is printed passes above the bar, unless it goes to a file or another command.
    onto_terminal = sys.stdout.isatty()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=onto_terminal) as bar:
        task = bar.add_task(name, total=total or None)
        yield lambda: bar.advance(task)
