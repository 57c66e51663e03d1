"""Draw the rooms and who imports whom, from the imports themselves: `python docs/rooms.py`.

With `--check` nothing is written; the status is 1 if the picture is no longer that of the code.
"""

import ast
import html
import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "rooms.svg"
COMMANDS = ("gmm.cluster", "gmm.classify", "gmm.export")

ROW, GAP, LEFT, WIDTH, REACH = 40, 8, 16, 640, 180
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.name{font-weight:600}.what{fill:#666;"
    "font-size:11.5px}rect{fill:#f2f6fa;stroke:#0072b2}.gmm rect{fill:#fdf3ec;stroke:#d55e00}"
    "path{fill:none;stroke:#0072b2;stroke-opacity:.55}.of-gmm{stroke:#d55e00}"
)


def rooms() -> list[str]:
    """Return all rooms from top to bottom, as the layers of pyproject.toml have them.

    The mixtures stand where their imports put them: their commands with the others, what they do
    with faces above the measures that it uses, and the library at the end.
    """
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    names = [f"fer_lightning.{name}" for layer in layers for name in layer.split(" | ")]
    below = names.index("fer_lightning.study")
    names[below:below] = COMMANDS
    names.insert(names.index("fer_lightning.evaluation"), "gmm.faces")
    return [*names, "gmm"]


def room_of(module: str, names: list[str]) -> str | None:
    """Return the room that a module stands in; None for the packages themselves."""
    inside = [name for name in names if module == name or module.startswith(f"{name}.")]
    return max(inside, key=len, default=None)


def imports(names: list[str]) -> set[tuple[str, str]]:
    """Return the pairs of rooms of which the first imports the second, commands in rooms aside.

    What an import says that is reached over other rooms, too, is left out.
    """
    graph = grimp.build_graph("fer_lightning", "gmm")
    pairs = {
        (room_of(importer, names), room_of(imported, names))
        for importer in graph.modules
        if not importer.endswith(".__main__") or importer.startswith("fer_lightning.study")
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    direct = {(a, b) for a, b in pairs if a and b and a != b}
    below: dict[str, set[str]] = {}
    for name in reversed(names):
        children = {b for a, b in direct if a == name}
        below[name] = children.union(*(below[child] for child in children))
    return {
        (a, b)
        for a, b in direct
        if not any((a, other) in direct and b in below[other] for other in names)
    }


def purpose(name: str) -> str:
    """Return what a room says of itself: the first line of its docstring."""
    path = ROOT / name.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n")[0].replace("`", "")


def drawing() -> str:
    """Return the picture as SVG.

    Raises:
        ValueError: A room imports one that stands above it.
    """
    names = rooms()
    pairs = imports(names)
    upward = [(a, b) for a, b in pairs if names.index(a) > names.index(b)]
    if upward:
        raise ValueError(f"these imports go up: {upward}")
    middle = {name: 16 + i * (ROW + GAP) + ROW / 2 for i, name in enumerate(names)}
    height = 24 + len(names) * (ROW + GAP)
    full_width = LEFT + WIDTH + REACH
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full_width} {height}" '
        'role="img" aria-label="The rooms and who imports whom">',
        f"<style>{STYLE}</style>",
        f'<rect width="{full_width}" height="{height}" style="fill:#fff;stroke:none"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 1L7 4L0 7" style="stroke:context-stroke"/>'
        "</marker></defs>",
    ]
    edge = LEFT + WIDTH
    for a, b in sorted(pairs, key=lambda pair: (names.index(pair[0]), names.index(pair[1]))):
        start, end = middle[a] + 5, middle[b] - 5
        bow = edge + 20 + (REACH - 40) * ((end - start) / height) ** 0.6 * 1.25
        kind = ' class="of-gmm"' if a.startswith("gmm") else ""
        parts.append(
            f'<path{kind} marker-end="url(#tip)" '
            f'd="M{edge} {start:.0f}C{bow:.0f} {start:.0f} {bow:.0f} {end:.0f} {edge} {end:.0f}"/>'
        )
    for name, y in middle.items():
        kind = ' class="gmm"' if name.startswith("gmm") else ""
        parts.append(
            f'<g{kind}><rect x="{LEFT}" y="{y - ROW / 2:.0f}" width="{WIDTH}" height="{ROW}" '
            f'rx="5"/><text class="name" x="{LEFT + 12}" y="{y - 3:.0f}">{name}</text>'
            f'<text class="what" x="{LEFT + 12}" y="{y + 13:.0f}">'
            f"{html.escape(purpose(name))}</text></g>"
        )
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Write the picture, or check that it is still that of the code."""
    drawn = drawing()
    if "--check" not in sys.argv[1:]:
        PICTURE.write_text(drawn)
    elif not PICTURE.exists() or PICTURE.read_text() != drawn:
        sys.exit("docs/rooms.svg is not that of the code: python docs/rooms.py draws it anew")


if __name__ == "__main__":
    main()
