"""Tables of the page: cells, and rows that the reader sorts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fer_lightning.report.markup import Markup, element
from fer_lightning.report.setting_values import shown
from fer_lightning.report.sweeps import Spread

LONG = 25  # characters; the page cuts longer cells off and shows all on hovering

BEYOND = 1e5  # a cross-entropy of networks that diverge


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: What it shows.
        value: What a figure is sorted by; None for text.
    """

    text: str
    value: float | None = None


NOTHING = Cell("-")


def figure(value: float | None, form: str) -> Cell:
    """A figure in a format of `format`, or a dash."""
    return NOTHING if value is None else Cell(_shown(value, form), value)


def percent(value: float | None) -> Cell:
    """A share as a percentage."""
    return figure(value, ".1%")


def spread(value: Spread | None, form: str, scale: float = 1) -> Cell:
    """Mean and spread, or the figure alone where there is one.

    Args:
        value: The spread.
        form: Of both numbers.
        scale: What they are multiplied by, such as 100 for percentages.
    """
    if value is None:
        return NOTHING
    text = _shown(scale * value.mean, form)
    text += "" if value.std is None else f" ± {_shown(scale * value.std, form)}"
    return Cell(text, value.mean)


def setting(value: object) -> Cell:
    """A setting's value, sorted as a figure if it is one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(shown(value), float(value))
    return NOTHING if value is None else Cell(shown(value))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell | str]], *, id_: str | None = None
) -> Markup:
    """A table whose columns can be sorted, in a box that scrolls when it is too wide.

    Args:
        columns: Their names.
        rows: Their cells.
        id_: Of the table, for links and scripts.
    """
    rows = list(rows)
    below = list(zip(*rows, strict=True)) or [()] * len(columns)
    heads = [
        element("th", element("button", name, type="button"), scope="col", class_=_side(cells))
        for name, cells in zip(columns, below, strict=True)
    ]
    body = [element("tr", *map(_cell, row)) for row in rows]
    inner = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *body),
        id=id_,
        class_="sortable",
    )
    return element("div", inner, class_="wide", tabindex="0")


def _shown(value: float, form: str) -> str:
    """The figure in a format, or what is left of it if it is beyond all use."""
    return format(value, ".2e" if abs(value) >= BEYOND and "," not in form else form)


def _side(cells: Iterable[Cell | str]) -> str | None:
    """The class of a column's head: that of figures if there is one below it."""
    return "n" if any(isinstance(cell, Cell) and cell.value is not None for cell in cells) else None


def _cell(cell: Cell | str) -> Markup:
    if isinstance(cell, str):
        cell = Cell(cell)
    if cell.value is None:
        title = cell.text if len(cell.text) > LONG else None
        return element("td", cell.text, class_="n" if cell is NOTHING else None, title=title)
    return element("td", cell.text, class_="n", data_v=f"{cell.value:.6g}")
