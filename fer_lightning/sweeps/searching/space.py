"""What the settings of a sweep may be: fixed values, choices and ranges in Hydra's grammar."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    IntervalSweep,
    Override,
    RangeSweep,
    Sweep,
    Transformer,
)

from fer_lightning.errors import InputError, require

Value = str | int | float | bool
DIGITS = 6  # of a number that is drawn, significant ones, so that people can read and type it


@dataclass(frozen=True)
class Choice:
    """A setting that is one of several values.

    Attributes:
        key: As one types it, perhaps with a +.
        values: Numbers, truth values and words as such; anything else as its text.
        texts: The values as one types them.
    """

    key: str
    values: tuple[Value, ...]
    texts: tuple[str, ...]

    @property
    def options(self) -> tuple[Value, ...]:
        """Return all values."""
        return self.values

    @property
    def first(self) -> Value:
        """Return the first value."""
        return self.values[0]

    def text(self, value: Value) -> str:
        """Return a value as one types it."""
        places = (i for i, v in enumerate(self.values) if v == value and type(v) is type(value))
        return self.texts[next(places)]

    def draw(self, random: Random) -> Value:
        """Return a value, drawn evenly."""
        return random.choice(self.values)


@dataclass(frozen=True)
class Span:
    """A setting that is a number between two others, both included.

    Attributes:
        key: As one types it, perhaps with a +.
        low: The least value.
        high: The largest.
        step: Distance of the values, or None where all numbers between are meant.
        is_integer: Whether it is an integer.
        is_log: Whether it is drawn evenly on a logarithmic scale.
    """

    key: str
    low: float
    high: float
    step: float | None
    is_integer: bool
    is_log: bool

    @property
    def options(self) -> tuple[Value, ...] | None:
        """Return all values, or None where these cannot be counted."""
        if self.step is None:
            return None
        n = round((self.high - self.low) / self.step) + 1
        return tuple(self.rounded(self.low + i * self.step) for i in range(n))

    @property
    def first(self) -> Value:
        """Return the least value."""
        return self.rounded(self.low)

    def rounded(self, value: float) -> Value:
        """Return a value with the digits of one that is drawn, within the bounds."""
        if self.is_integer:
            return round(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def text(self, value: Value) -> str:
        """Return a value as one types it."""
        return str(value)

    def draw(self, random: Random) -> Value:
        """Return a value, drawn evenly."""
        options = self.options
        if options is not None and not self.is_log:
            return random.choice(options)
        half = 0.5 if self.is_integer else 0.0
        low, high = self.low - half, self.high + half
        if self.is_log:
            drawn = math.exp(random.uniform(math.log(low), math.log(high)))
        else:
            drawn = random.uniform(low, high)
        return self.rounded(min(max(drawn, self.low), self.high))


Dimension = Choice | Span


@dataclass(frozen=True)
class Space:
    """The settings of a sweep.

    Attributes:
        fixed: Overrides that all runs have.
        dimensions: The settings that vary.
    """

    fixed: tuple[str, ...]
    dimensions: tuple[Dimension, ...]

    @property
    def size(self) -> int | None:
        """Return the number of all combinations, or None where they cannot be counted."""
        sizes = [len(dimension.options or ()) for dimension in self.dimensions]
        return math.prod(sizes) or None

    def overrides(self, values: Sequence[Value]) -> list[str]:
        """Return the overrides of a run, given the values of the dimensions."""
        pairs = zip(self.dimensions, values, strict=True)
        return [*(f"{d.key}={d.text(value)}" for d, value in pairs), *self.fixed]

    def grid(self) -> list[tuple[Value, ...]]:
        """Return all combinations, the last dimension varying fastest.

        Raises:
            InputError: A dimension is an interval.
        """
        for dimension in self.dimensions:
            rule = "be a list of values or a range for a grid"
            require(dimension.options is not None, dimension.key, rule, "an interval")
        return list(itertools.product(*(d.options or () for d in self.dimensions)))

    def drawn(self, n: int, random: Random) -> list[tuple[Value, ...]]:
        """Return n combinations, none twice, each setting drawn by itself.

        Raises:
            InputError: There are not so many.
        """
        if self.size is not None:
            require(n <= self.size, "hydra.sweeper.n_trials", f"be at most {self.size}", n)
        drawn: dict[tuple[Value, ...], None] = {}
        while len(drawn) < n:
            drawn[tuple(dimension.draw(random) for dimension in self.dimensions)] = None
        return list(drawn)


def space_of(
    params: Mapping[str, object], arguments: Sequence[str], loader: ConfigLoader | None = None
) -> Space:
    """Return the space that overrides describe; of several with one key, the last counts.

    Args:
        params: `hydra.sweeper.params`: texts by key.
        arguments: The overrides of the command line.
        loader: Hydra's configuration loader, which finds the values of `model=glob(*)`.

    Raises:
        InputError: A range is none that can be searched, or nothing varies.
    """
    parser = OverridesParser.create(loader)
    given = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    by_key = {o.get_key_element(): o for o in parser.parse_overrides(given)}
    swept = [o for o in by_key.values() if o.is_sweep_override()]
    if not swept:
        raise InputError("a search must have a setting that varies, such as optim.lr=0.01,0.1")
    fixed = [
        f"{key}={o.get_value_element_as_str()}" if not o.is_delete() else str(o.input_line)
        for key, o in by_key.items()
        if not o.is_sweep_override()
    ]
    return Space(tuple(fixed), tuple(map(_dimension, swept)))


def _dimension(override: Override) -> Dimension:
    key, sweep = override.get_key_element(), override.value()
    assert isinstance(sweep, Sweep)
    unknown = {str(tag) for tag in sweep.tags} - {"log"}
    require(not unknown, key, "have no tag but log", ", ".join(sorted(unknown)))
    is_log = bool(sweep.tags)
    if isinstance(sweep, IntervalSweep):
        return _interval(key, sweep, is_log)
    if isinstance(sweep, RangeSweep):
        values = list(sweep.range())
        require(bool(values), key, "be a range with values in it", override.input_line)
        integers = all(isinstance(value, int) for value in values)
        require(not is_log or values[0] > 0, key, "be above 0 for tag(log, ...)", values[0])
        even = not is_log or (integers and abs(sweep.step) == 1)
        require(even, key, "be an interval, or a range of all integers, for tag(log, ...)", values)
        low, high = min(values), max(values)
        return Span(key, low, high, abs(sweep.step), integers, is_log)
    require(not is_log, key, "be an interval or a range for tag(log, ...)", override.input_line)
    texts = tuple(override.sweep_string_iterator())
    return Choice(key, tuple(map(_plain, override.sweep_iterator(Transformer.identity), texts)),
                  texts)  # fmt: skip


def _interval(key: str, sweep: IntervalSweep, is_log: bool) -> Span:
    low, high = sweep.start, sweep.end
    assert low is not None
    assert high is not None
    require(low < high, key, "be an interval from a number to a larger one", f"{low}, {high}")
    require(not is_log or low > 0, key, "be above 0 for tag(log, ...)", low)
    is_integer = isinstance(low, int) and isinstance(high, int)
    return Span(key, low, high, 1 if is_integer else None, is_integer, is_log)


def _plain(value: object, text: str) -> Value:
    return value if isinstance(value, int | float | bool | str) else text
