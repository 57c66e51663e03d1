"""Tables as text, for the terminal and the log."""

import io

from rich.console import Console
from rich.table import Table

UNBOUNDED = 10_000


def plain_table(*columns: str) -> Table:
    """Return an empty table without lines, with the first column aligned left, the others right."""
    table = Table(box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    return table


def as_text(table: Table, width: int | None = 100) -> str:
    """Return a table as text, with lines of at most `width` characters, or unlimited if None."""
    out = io.StringIO()
    Console(file=out, width=width or UNBOUNDED, markup=False, emoji=False).print(table)
    return out.getvalue().rstrip()


def cell(value: float | None, form: str) -> str:
    """Return a number as text for a table, or a dash for None."""
    return "-" if value is None else format(value, form)
