"""Values of settings: how they are shown, compared and put in order."""

from fer_lightning.report.files import readable


def short(key: str) -> str:
    """A setting's name without its section, as on axes: `lr` of `optim.lr`."""
    return readable(key).rpartition(".")[2].replace("_", " ")


def shown(value: object) -> str:
    """A setting's value in a few characters."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return "-".join(map(shown, value))
    return "-" if value is None else readable(str(value))


def hashable(value: object) -> object:
    """The value as a key of a dictionary."""
    if isinstance(value, list):
        return tuple(map(hashable, value))
    return value if isinstance(value, int | float | str | None) else str(value)


def value_order(value: object) -> tuple[int, list[float], str]:
    """What values of a setting are sorted by: figures by size, then all others by name."""
    parts = value if isinstance(value, list) else [value]
    figures = [float(part) for part in parts if isinstance(part, int | float)]
    if len(figures) == len(parts) > 0:
        return (0, figures, "")
    return (1, [], shown(value))
