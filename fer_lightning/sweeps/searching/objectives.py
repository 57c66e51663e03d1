"""What a search looks for: figures of a run's summary, and which of them are better."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fer_lightning.errors import require

# By the name of a figure, the direction in which it is better. `val/acc` and `val/ce` are those of
# the best network of a run, which checkpoint.monitor chooses. None is of the test faces, by which
# nothing may be chosen.
DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {
    "val/acc": "maximize",
    "val/ce": "minimize",
    "n_parameters": "minimize",
    "epochs": "minimize",
    "seconds": "minimize",
}
# Of a network that has diverged or does not exist, so that a search keeps away from it.
WORST = {"val/acc": 0.0, "val/ce": float("inf")}


def require_objectives(names: Sequence[str]) -> None:
    """Raise a `SettingError` unless these are objectives, none of them twice."""
    rule = f"be one or several of {', '.join(DIRECTIONS)}"
    fits = bool(names) and set(names) <= DIRECTIONS.keys() and len(set(names)) == len(names)
    require(fits, "hydra.sweeper.objectives", rule, list(names))


def values_of(summary: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    """Return the objectives of a run, given its summary."""
    return [_value(summary, name) for name in names]


def _value(summary: Mapping[str, Any], name: str) -> float:
    if name not in WORST:
        return float(summary[name])
    split, measure = name.split("/")
    value = summary["best"][split][measure]
    return WORST[name] if value is None or summary["diverged"] else float(value)


def pareto(values: Sequence[Sequence[float]], names: Sequence[str]) -> list[bool]:
    """Return for each run whether no other is at least as good in all objectives and better in one.

    Args:
        values: The objectives of each run.
        names: Names of the objectives.
    """
    signs = [1 if DIRECTIONS[name] == "maximize" else -1 for name in names]
    merits = [tuple(sign * v for sign, v in zip(signs, each, strict=True)) for each in values]
    return [
        not any(
            other != own and all(o >= m for o, m in zip(other, own, strict=True))
            for other in merits
        )
        for own in merits
    ]
