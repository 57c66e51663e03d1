"""Mistakes of the user: each is one line that says what, the rule and the value."""

from os import PathLike


class InputError(ValueError):
    """Something that the user gave cannot be used; the message is one readable line."""


class SettingError(InputError):
    """A setting breaks its rule.

    Args:
        name: The setting, as the user types it.
        rule: What its value must be, so that "name must rule" is a sentence.
        value: What it was.
    """

    def __init__(self, name: str, rule: str, value: object) -> None:
        super().__init__(f"{name} must {rule}, got {value!r}")
        self.name = name
        self.rule = rule
        self.value = value

    def __reduce__(self) -> tuple[type["SettingError"], tuple[str, str, object]]:
        return type(self), (self.name, self.rule, self.value)  # it comes from other processes, too

    def within(self, section: str) -> "SettingError":
        """Return the same error, with the name of a settings section before the setting's."""
        return SettingError(f"{section}.{self.name}", self.rule, self.value)


class Interrupted(BaseException):
    """The exception that is raised when a signal asks the command to end.

    Args:
        signum: The signal.

    Attributes:
        status: The exit status of the command.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.status = 128 + signum


def require(condition: bool, name: str, rule: str, value: object) -> None:
    """Raise a `SettingError` unless the condition holds."""
    if not condition:
        raise SettingError(name, rule, value)


def require_integer(name: str, value: object, minimum: int, maximum: int | None = None) -> None:
    """Raise a `SettingError` unless the value is an integer within its limits, both included."""
    limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    fits = (
        isinstance(value, int)
        and not isinstance(value, bool)
        and minimum <= value
        and (maximum is None or value <= maximum)
    )
    require(fits, name, f"be an integer {limits}", value)


def require_number(
    name: str,
    value: object,
    minimum: float,
    *,
    open_below: bool = False,
    below: float = float("inf"),
) -> None:
    """Raise a `SettingError` unless minimum <= value < below; minimum < value if `open_below`."""
    rule = f"be a number {'above' if open_below else 'of at least'} {minimum:g}"
    rule += f" and below {below:g}" if below < float("inf") else ""
    fits = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (value > minimum if open_below else value >= minimum)
        and value < below
    )
    require(fits, name, rule, value)


def one_line(error: Exception | str) -> str:
    """Return a message on one line, with control characters escaped."""
    text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def require_path(name: str, value: object, what: str) -> None:
    """Raise a `SettingError` unless the value can be the path of something."""
    require(isinstance(value, str | PathLike) and bool(str(value)), name, f"be {what}", value)
