"""HTML whose texts are escaped, whatever they say."""

import html
from collections.abc import Iterable


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """An element.

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
    """Texts, escaped, and `Markup` one after the other."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(child, quote=False)
            for child in children
            if child is not None
        )
    )


def _safe(value: object) -> str:
    return html.escape(str(value), quote=True)
