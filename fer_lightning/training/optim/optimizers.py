"""Optimisers as settings: checked when they are made, applied to parameters later.

Steps are `fused`, all weights in one call: on a CPU PyTorch would else take them a tensor and an
operation at a time, which a small network notices.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fer_lightning.errors import require, require_number

if TYPE_CHECKING:  # PyTorch takes over a second to import: settings are checked before that
    from torch.nn import Parameter
    from torch.optim import Optimizer


class OptimizerSettings(Protocol):
    """Settings from which an optimiser can be made."""

    def __call__(self, parameters: "Iterable[Parameter]") -> "Optimizer":
        """Return an optimiser of these parameters."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, v <- momentum v + (grad + weight_decay w); w <- w - lr v.

    At a constant learning rate these are the study's v <- momentum v - lr grad; w <- w + v.

    Args:
        lr: Learning rate, above 0.
        momentum: Share of the last velocity that is kept, in [0, 1).
        weight_decay: Factor of an L2 penalty, at least 0.
        nesterov: Whether the gradient is taken after the step of the momentum, which must not be 0.

    Raises:
        SettingError: A value breaks its rule.
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        require_number("lr", self.lr, 0, open_below=True)
        require_number("momentum", self.momentum, 0, below=1)
        require_number("weight_decay", self.weight_decay, 0)
        require(isinstance(self.nesterov, bool), "nesterov", "be true or false", self.nesterov)
        if self.nesterov:
            require_number("momentum", self.momentum, 0, open_below=True, below=1)

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of PyTorch's optimiser."""
        return {**asdict(self), "fused": True}

    def __call__(self, parameters: "Iterable[Parameter]") -> "Optimizer":
        from torch import optim

        return optim.SGD(parameters, **self.arguments)


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019).

    Args:
        lr: Learning rate, above 0.
        betas: Decay of the running means of gradient and squared gradient, each in [0, 1).
        eps: Added to the denominator, above 0.
        weight_decay: Share of each weight, times lr, that a step takes away, at least 0.

    Raises:
        SettingError: A value breaks its rule.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        require_number("lr", self.lr, 0, open_below=True)
        require(len(self.betas) == 2, "betas", "be two numbers", self.betas)
        for beta in self.betas:
            require_number("betas", beta, 0, below=1)
        require_number("eps", self.eps, 0, open_below=True)
        require_number("weight_decay", self.weight_decay, 0)

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of PyTorch's optimiser."""
        return {**asdict(self), "betas": tuple(self.betas), "fused": True}

    def __call__(self, parameters: "Iterable[Parameter]") -> "Optimizer":
        from torch import optim

        return optim.AdamW(parameters, **self.arguments)


@dataclass(frozen=True)
class Muon:
    """Momentum with orthogonal steps for kernels and matrices (Jordan et al., 2024), see `muon.py`.

    Args:
        lr: Learning rate of kernels and matrices, above 0: about the length of a step in each
            direction.
        momentum: Share of the last velocity that is kept, in [0, 1).
        weight_decay: Share of kernels and matrices, times lr, that a step takes away, at least 0.
        factor_others: By which lr is multiplied, above 0, for biases, norms and the last layer,
            whose steps are those of SGD with momentum.

    Raises:
        SettingError: A value breaks its rule.
    """

    lr: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    factor_others: float = 2.0

    def __post_init__(self) -> None:
        require_number("lr", self.lr, 0, open_below=True)
        require_number("momentum", self.momentum, 0, below=1)
        require_number("weight_decay", self.weight_decay, 0)
        require_number("factor_others", self.factor_others, 0, open_below=True)

    def __call__(self, parameters: "Iterable[Parameter]") -> "Optimizer":
        from fer_lightning.training.optim.muon import MuonWithSGD

        others = self.lr * self.factor_others
        return MuonWithSGD(parameters, self.lr, self.momentum, self.weight_decay, others)
