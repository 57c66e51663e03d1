"""The scale on which a setting or an objective is drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from fer_lightning.report.sweeps import hashable, shown, value_order

FEW = 7  # values that are all named
MOST_NAMED = 12  # of more categories, some go without a name
LONGEST = 14  # characters of a name
DECADE = 10
HUGE = 1e300


@dataclass(frozen=True)
class Scale:
    """Where values lie between 0 and 1.

    Attributes:
        kind: linear, log, or categories, which are evenly spaced.
        values: All different values, sorted.
    """

    kind: str
    values: tuple[Any, ...]

    def place(self, value: Any) -> float:
        """Return where a value lies; 0.5 if there is no other."""
        if len(self.values) == 1:
            return 0.5
        if self.kind == "categories":
            return [*map(hashable, self.values)].index(hashable(value)) / (len(self.values) - 1)
        low, high, at = (self.number(v) for v in (self.values[0], self.values[-1], value))
        return (at - low) / (high - low) if high > low else 0.5

    def number(self, value: float) -> float:
        """Return a number as it is drawn: its logarithm, if the scale is logarithmic."""
        return math.log(value) if self.kind == "log" else float(value)

    def ticks(self, most_named: int = FEW) -> list[tuple[float, str]]:
        """Return the places and names of ticks.

        Args:
            most_named: Most values that are named each; of more numbers, round ones are.
        """
        if self.kind == "categories":
            step = math.ceil(len(self.values) / MOST_NAMED)
            return [(self.place(v), _cut(shown(v))) for v in self.values[::step]]
        if len(self.values) <= most_named:
            return _apart([(self.place(v), shown(v)) for v in self.values])
        low, high = self.values[0], self.values[-1]
        if self.kind == "linear":
            round_ones = MaxNLocator(5).tick_values(low, high)
        elif high / low > DECADE**2:
            round_ones = LogLocator(numticks=6).tick_values(low, high)
        else:
            round_ones = LogLocator(subs=(1, 2, 5), numticks=8).tick_values(low, high)
        inside = [float(v) for v in round_ones if low <= v <= high]
        return _apart([(self.place(v), f"{v:g}") for v in inside])


def scale_of(values: Sequence[Any], logarithmic: bool | None = None) -> Scale:
    """Return a scale for some values.

    Args:
        values: At least one; numbers, or any for evenly spaced categories.
        logarithmic: Whether the scale is, or None: positive numbers over a decade and more are
            logarithmic if their median is nearer to the middle then.
    """
    different = sorted({hashable(v): v for v in values}.values(), key=value_order)
    if not all(_is_number(value) for value in different):
        return Scale("categories", tuple(different))
    numbers = [float(value) for value in different]
    if logarithmic is None:
        logarithmic = numbers[0] > 0 and numbers[-1] >= DECADE * numbers[0] and _bent(numbers)
    return Scale("log" if logarithmic and numbers[0] > 0 else "linear", tuple(different))


def plainly_logarithmic(axes: Axes, side: str) -> None:
    """Make an axis, x or y, logarithmic, with ticks at 1, 2 and 5 that are written in full."""
    getattr(axes, f"set_{side}scale")("log")
    axis = getattr(axes, f"{side}axis")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def _bent(numbers: Sequence[float]) -> bool:
    """Return whether the median is nearer to the middle on a logarithmic scale."""

    def off(values: Any) -> float:
        return abs(float(np.median(values)) - (values[0] + values[-1]) / 2) / np.ptp(values)

    return off(np.log(numbers)) < off(np.array(numbers))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < HUGE


def _apart(ticks: list[tuple[float, str]], distance: float = 0.07) -> list[tuple[float, str]]:
    """Return the ticks without those that are too near to the one below."""
    kept: list[tuple[float, str]] = []
    for place, name in ticks:
        if not kept or place - kept[-1][0] >= distance:
            kept.append((place, name))
    return kept


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
