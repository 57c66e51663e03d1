"""What the entries let a user set about a mixture, checked before any work."""

from dataclasses import dataclass
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from fer_lightning.errors import SettingError, require, require_integer, require_number
from fer_lightning.processes import local_rank, n_processes
from fer_lightning.runs import section
from gmm.fitting.shared import SHAREABLE
from gmm.points import usable_device
from gmm.starting.starts import MEANS, Start
from gmm.structures import N_FACTORS, STRUCTURES, FactorAnalysis, structure

BOTH = ("random", "kmeans")


@dataclass(frozen=True)
class MixtureSettings:
    """The settings `mixture.*`; `gmm.fit_em` and `gmm.Start` say what they mean.

    Raises:
        SettingError: If one breaks its rule.
    """

    n_components: int | list[int]
    covariance_type: str = "diag"
    n_factors: int | list[int] = N_FACTORS
    share_covariance: bool = False
    max_iter: int = 20
    tol: float = 0.0
    n_init: int = 1
    min_variance: float = 0.01
    reg_covar: float = 0.0
    rand_const: float | None = None
    lloyd_iter: int = 5
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        for name, numbers, least in (
            ("n_components", self.sizes, 1),
            ("n_factors", self.factors, 0),
        ):
            for number in numbers:
                require_integer(name, number, least)
            distinct = 0 < len(numbers) == len(set(numbers))
            require(distinct, name, "be one number or several that differ", numbers)
        known = ", ".join(STRUCTURES)
        is_known = self.covariance_type in STRUCTURES
        require(is_known, "covariance_type", f"be one of {known}", self.covariance_type)
        self._require_structure()
        for name in ("max_iter", "n_init"):
            require_integer(name, getattr(self, name), 1)
        for name in ("tol", "min_variance", "reg_covar"):
            require_number(name, getattr(self, name), 0)
        require_integer("lloyd_iter", self.lloyd_iter, 0)
        if self.rand_const is not None:
            require_number("rand_const", self.rand_const, 0, open_below=True)
        if self.chunk_size is not None:
            require_integer("chunk_size", self.chunk_size, 1)

    def _require_structure(self) -> None:
        """Raise a `SettingError` unless the structure can have what is asked of it."""
        name = self.covariance_type
        alone = len(self.factors) == 1 or isinstance(structure(name), FactorAnalysis)
        require(alone, "n_factors", f"be one number for {name}, which has none", self.n_factors)
        shares = self.share_covariance
        require(isinstance(shares, bool), "share_covariance", "be true or false", shares)
        rule = f"be one of {', '.join(SHAREABLE)} where share_covariance is true"
        require(not shares or name in SHAREABLE, "covariance_type", rule, name)

    @property
    def sizes(self) -> list[int]:
        """Return the numbers of components as a list."""
        return _listed(self.n_components)

    @property
    def factors(self) -> list[int]:
        """Return the numbers of factors as a list."""
        return _listed(self.n_factors)

    @property
    def floors(self) -> dict[str, Any]:
        """Return the arguments that `make_start` and `fit_em` share."""
        names = ("reg_covar", "min_variance", "chunk_size")
        return {name: getattr(self, name) for name in names}

    @property
    def em(self) -> dict[str, Any]:
        """Return the arguments of `fit_em`."""
        return {"max_iter": self.max_iter, "tol": self.tol, **self.floors}

    def start(self, name: str) -> Start:
        """Return the start of the given name with these settings."""
        return Start(name, rand_const=self.rand_const, lloyd_iter=self.lloyd_iter)

    def require_features(self, D: int) -> None:
        """Raise a `SettingError` unless D features are enough for the factors."""
        if isinstance(structure(self.covariance_type), FactorAnalysis):
            for q in self.factors:
                require_integer("mixture.n_factors", q, 0, D)

    @property
    def remedy(self) -> str:
        """Return the advice for a covariance that has become singular."""
        return (
            f"raise mixture.reg_covar (now {self.reg_covar:g}) "
            f"or mixture.min_variance (now {self.min_variance:g})"
        )


def _listed(numbers: int | list[int]) -> list[int]:
    return list(numbers) if isinstance(numbers, list) else [numbers]


def mixture_settings(config: DictConfig) -> MixtureSettings:
    """Return the settings of a mixture from a configuration.

    Raises:
        InputError: If one breaks its rule.
    """
    with section("mixture"):
        settings: MixtureSettings = instantiate(config.mixture, _convert_="all")
    return settings


def start_names(start: str, *, both: bool = False) -> tuple[str, ...]:
    """Return the names of the starts that a setting selects.

    Args:
        start: A start, or "both" where that is allowed.
        both: Whether "both" is allowed.

    Raises:
        SettingError: There is no such start.
    """
    if both and start == "both":
        return BOTH
    known = [*(["both"] if both else []), *MEANS]
    require(start in MEANS, "start", f"be one of {', '.join(known)}", start)
    return (start,)


def working_device(name: str) -> torch.device:
    """Return the device of the given name; `auto` is a GPU where there is one.

    Of several processes, each takes a GPU of its own.

    Raises:
        SettingError: It is not there, or lacks float64.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and n_processes() > 1:
        name = f"cuda:{local_rank()}"
    rule = "be auto, cpu, or a CUDA device that is here"
    try:
        device = usable_device(name)
    except ValueError as error:
        raise SettingError("device", rule, name) from error
    require(device.type in ("cpu", "cuda"), "device", rule, name)
    return device
