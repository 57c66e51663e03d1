"""Parts of the page that its table of contents names."""

from collections.abc import Iterable
from dataclasses import dataclass

from fer_lightning.report.markup import Markup, element, joined


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: What links to it name.
        title: Its heading.
        content: What it holds.
        parts: Links to parts of it, from id to title.
    """

    id: str
    title: str
    content: Markup
    parts: tuple[tuple[str, str], ...] = ()

    def html(self) -> Markup:
        """The section with its heading."""
        return element("section", element("h2", self.title), self.content, id=self.id)

    def contents(self) -> Markup:
        """Its entry in the table of contents."""
        inner = [element("li", link(*part)) for part in self.parts]
        below = element("ul", *inner) if inner else None
        return element("li", link(self.id, self.title), below)


def link(id_: str, text: str) -> Markup:
    """A link to a place on the page."""
    return element("a", text, href=f"#{id_}")


def paragraph(*children: str | None, class_: str | None = None) -> Markup:
    """A paragraph."""
    return element("p", *children, class_=class_)


def command(text: str) -> Markup:
    """A command that the reader may type."""
    return element("code", text)


def figure_box(image: Markup, caption: str | None = None) -> Markup:
    """An image with what it shows, unless it says so itself; on a narrow screen it may scroll."""
    box = element("div", image, class_="wide", tabindex="0")
    return element("figure", box, element("figcaption", caption) if caption else None)


def folded(summary: str, children: Iterable[str], *, unfolded: bool) -> Markup:
    """What the reader may fold and unfold."""
    return element("details", element("summary", summary), joined(children), open=unfolded)
