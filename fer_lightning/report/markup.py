"""Parts of the page: escaped HTML, sections, and tables that the reader sorts."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fer_lightning.report.sweeps import Spread, shown


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """Return an HTML element.

    Args:
        tag: Its name.
        children: What it holds: text, which is escaped, or `Markup`; None is left out.
        attributes: `class_` is written class, `data_v` data-v. None and False leave one out, True
            gives it no value.
    """
    shown = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_safe(value)}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in ("img", "input", "br"):
        return Markup(f"<{tag}{shown}>")
    return Markup(f"<{tag}{shown}>{joined(children)}</{tag}>")


def joined(children: Iterable[str | None]) -> Markup:
    """Return the children as one `Markup`, with plain texts escaped."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(child, quote=False)
            for child in children
            if child is not None
        )
    )


def _safe(value: object) -> str:
    return html.escape(str(value), quote=True)


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: The identifier that links to it use.
        title: Its heading.
        content: What it holds.
        parts: Links to parts of it, from id to title.
    """

    id: str
    title: str
    content: Markup
    parts: tuple[tuple[str, str], ...] = ()

    def html(self) -> Markup:
        """Return the section with its heading as HTML."""
        return element("section", element("h2", self.title), self.content, id=self.id)

    def contents(self) -> Markup:
        """Return the section's entry in the table of contents."""
        inner = [element("li", link(*part)) for part in self.parts]
        below = element("ul", *inner) if inner else None
        return element("li", link(self.id, self.title), below)


def link(id_: str, text: str) -> Markup:
    """Return a link to a place on the page."""
    return element("a", text, href=f"#{id_}")


def paragraph(*children: str | None, class_: str | None = None) -> Markup:
    """Return a paragraph."""
    return element("p", *children, class_=class_)


def command(text: str) -> Markup:
    """Return a command line, marked up as code."""
    return element("code", text)


def figure_box(image: Markup, caption: str | None = None) -> Markup:
    """Return an image with an optional caption, in a box that scrolls on a narrow screen."""
    box = element("div", image, class_="wide", tabindex="0")
    return element("figure", box, element("figcaption", caption) if caption else None)


def folded(summary: str, children: Iterable[str], *, unfolded: bool) -> Markup:
    """Return content that the reader can fold and unfold below its summary."""
    return element("details", element("summary", summary), joined(children), open=unfolded)


LONG = 25  # characters; the page cuts longer cells off and shows all on hovering

BEYOND = 1e5  # a cross-entropy of networks that diverge


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it shows.
        value: The number that it is sorted by; None for text.
    """

    text: str
    value: float | None = None


NOTHING = Cell("-")


def figure(value: float | None, form: str) -> Cell:
    """Return a cell with a number in a format such as `.1f`, or with a dash for None."""
    return NOTHING if value is None else Cell(_shown(value, form), value)


def percent(value: float | None) -> Cell:
    """Return a cell with a share as a percentage."""
    return figure(value, ".1%")


def spread(value: Spread | None, form: str, scale: float = 1) -> Cell:
    """Return a cell with the mean, and with the standard deviation if there is one.

    Args:
        value: The spread.
        form: The format of both numbers.
        scale: What they are multiplied by, such as 100 for percentages.
    """
    if value is None:
        return NOTHING
    text = _shown(scale * value.mean, form)
    text += "" if value.std is None else f" ± {_shown(scale * value.std, form)}"
    return Cell(text, value.mean)


def setting(value: object) -> Cell:
    """Return a cell with a setting's value, sorted as a number if it is one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(shown(value), float(value))
    return NOTHING if value is None else Cell(shown(value))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell | str]], *, id_: str | None = None
) -> Markup:
    """Return a table whose columns can be sorted, in a box that scrolls when it is too wide.

    Args:
        columns: Their names.
        rows: Their cells.
        id_: The table's identifier, for links and scripts.
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
    """Return a number in a format, or in scientific notation if it is very large."""
    return format(value, ".2e" if abs(value) >= BEYOND and "," not in form else form)


def _side(cells: Iterable[Cell | str]) -> str | None:
    """Return the CSS class of a column's head: `n` if the column has numbers, else None."""
    return "n" if any(isinstance(cell, Cell) and cell.value is not None for cell in cells) else None


def _cell(cell: Cell | str) -> Markup:
    if isinstance(cell, str):
        cell = Cell(cell)
    if cell.value is None:
        title = cell.text if len(cell.text) > LONG else None
        return element("td", cell.text, class_="n" if cell is NOTHING else None, title=title)
    return element("td", cell.text, class_="n", data_v=f"{cell.value:.6g}")
