"""The overrides of a run, as texts such as `optim.lr=0.1`."""

from collections.abc import Iterable, Sequence

RESUME = "resume="  # what goes on a command line before the folder of a run that goes on
PAUSE = "pause."  # what the keys that say where a run stops for now begin with


def override_values(overrides: Iterable[str]) -> dict[str, str]:
    """Return the values, by key, of overrides such as `optim.lr=0.1` or `+trainer.precision=16`."""
    parts = (override.partition("=") for override in overrides)
    return {key.lstrip("+"): value for key, _, value in parts}


def without_resume(overrides: Sequence[str]) -> list[str]:
    """Return the overrides of a run without those that resume it and stop it for now."""
    return [override for override in overrides if not override.startswith((RESUME, PAUSE))]
