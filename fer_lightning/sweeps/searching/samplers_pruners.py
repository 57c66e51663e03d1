"""The samplers and pruners of optuna that a search can use, by their names."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lightning.errors import InputError, one_line, require
from fer_lightning.sweeps.searching.space import Choice, Space

if TYPE_CHECKING:  # optuna is an extra, and takes a while to import
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

SAMPLERS = ("TPE", "CmaEs", "GP", "Random", "Grid", "QMC", "NSGAII", "NSGAIII")
PRUNERS = (
    *("Nop", "Median", "Percentile", "SuccessiveHalving", "Hyperband", "Threshold", "Patient"),
    "Wilcoxon",
)
FEEDS_ON_SEED = ("Grid", "QMC")  # whose points depend on the seed, and go on where they were


def require_optuna() -> None:
    """Raise an `InputError` unless optuna is there."""
    try:
        import optuna
    except ImportError as error:
        told = "hydra/sweeper=optuna needs another package: pip install -e '.[search]'"
        raise InputError(told) from error
    # it tells of each trial and each option that may change; this project tells of runs
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def known_as(name: object, names: tuple[str, ...], kind: str) -> str:
    """Return the name of a class without its kind: `TPE` for `TPESampler`, or for `tpe`.

    Raises:
        InputError: It is none of the names.
    """
    short = str(name).lower().removesuffix(kind)
    found = [known for known in names if known.lower() == short]
    rule = f"be one of {', '.join(known + kind.title() for known in names)}"
    require(bool(found), f"hydra.sweeper.{kind}", rule, name)
    return found[0]


def sampler_of(
    name: str, arguments: Mapping[str, Any], space: Space, seed: int, number: int, n_jobs: int
) -> "BaseSampler":
    """Return the sampler that chooses a trial.

    Its random numbers follow from the seed and the number of the trial, so that a search that was
    cut off goes on with those that it would have had.

    Args:
        name: One of `SAMPLERS`.
        arguments: Of its class.
        space: What varies.
        seed: Of the search.
        number: Of the trial.
        n_jobs: Trials that run at a time, and do not know of each other.

    Raises:
        InputError: An argument does not fit, or a package is missing.
    """
    import optuna

    kind = getattr(optuna.samplers, f"{name}Sampler")
    own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    given: dict[str, Any] = {"seed": seed if name in FEEDS_ON_SEED else own}
    if name == "Grid":
        given["search_space"] = {d.key.lstrip("+"): d.options for d in space.dimensions}
    if name == "TPE":
        given["constant_liar"] = n_jobs > 1
    return _made(kind, {**given, **arguments}, "sampler")


def pruner_of(name: str, arguments: Mapping[str, Any]) -> "BasePruner":
    """Return a pruner.

    Args:
        name: One of `PRUNERS`.
        arguments: Of its class.

    Raises:
        InputError: An argument does not fit.
    """
    import optuna

    given = {"wrapped_pruner": None} if name == "Patient" else {}
    kind = getattr(optuna.pruners, f"{name}Pruner")
    return _made(kind, {**given, **arguments}, "pruner")


def distributions_of(space: Space) -> "dict[str, BaseDistribution]":
    """Return what each setting may be, in optuna's terms."""
    from optuna import distributions

    told: dict[str, BaseDistribution] = {}
    for d in space.dimensions:
        name = d.key.lstrip("+")
        if isinstance(d, Choice):
            told[name] = distributions.CategoricalDistribution(d.values)
        elif d.is_integer:
            step = 1 if d.is_log else int(d.step or 1)
            told[name] = distributions.IntDistribution(int(d.low), int(d.high), d.is_log, step)
        else:
            told[name] = distributions.FloatDistribution(d.low, d.high, d.is_log, d.step)
    return told


def _made(kind: Any, arguments: Mapping[str, Any], what: str) -> Any:
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"hydra.sweeper.{what}_args: {one_line(error)}") from error
    except ImportError as error:
        told = f"hydra.sweeper.{what}={kind.__name__} needs another package: "
        raise InputError(told + "pip install -e '.[search]'") from error
