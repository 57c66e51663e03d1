"""How the learning rate changes during a training: settings, from which a scheduler is made.

Each is a factor of the optimiser's learning rate, as a function of the steps that are done, or, of
`Plateau`, of a metric as well. PyTorch's own schedulers do the rest.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fer_lightning.errors import SettingError, require, require_integer, require_number

if TYPE_CHECKING:  # PyTorch takes a second to import: settings are checked before that
    from torch.optim import Optimizer

# A scheduler as Lightning wants it: with its interval and, where it waits for one, a metric.
Scheduler = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Warming(ABC):
    """A schedule that begins with a warm-up.

    Over the first `warmup_epochs` the learning rate rises with each step, in equal parts; what the
    schedule says holds for the epochs after these, as if the training began then.

    Args:
        warmup_epochs: Epochs, or a fraction of them, at least 0.
    """

    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        require_number("warmup_epochs", self.warmup_epochs, 0)

    @abstractmethod
    def factor(self, done: float, epochs: float) -> float:
        """Return the factor of the learning rate.

        Args:
            done: Epochs that are done since the warm-up.
            epochs: All epochs after the warm-up.
        """

    def __call__(self, optimizer: "Optimizer", steps_per_epoch: int, n_steps: float) -> Scheduler:
        """Return a scheduler of an optimiser, which takes `n_steps` in all."""
        from torch.optim.lr_scheduler import LambdaLR

        if math.isinf(n_steps):
            raise SettingError("trainer.max_epochs", "be given for a schedule", -1)
        n_warm = round(self.warmup_epochs * steps_per_epoch)
        epochs = (n_steps - n_warm) / steps_per_epoch

        def factor(step: int) -> float:
            if step < n_warm:
                return (step + 1) / (n_warm + 1)
            # Lightning asks for one factor more than there are steps
            return self.factor(min((step - n_warm) / steps_per_epoch, epochs), epochs)

        return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


@dataclass(frozen=True, kw_only=True)
class Cosine(Warming):
    """Half a cosine down to a share of the learning rate (Loshchilov & Hutter, 2017).

    Args:
        final: That share, in [0, 1).
    """

    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("final", self.final, 0, below=1)

    def factor(self, done: float, epochs: float) -> float:
        return self.final + (1 - self.final) * _half_cosine(done / epochs if epochs else 1.0)


@dataclass(frozen=True, kw_only=True)
class OneCycle(Warming):
    """Up to the learning rate, then down to nearly none, by half a cosine each (Smith, 2018).

    The momentum stays as it is. A warm-up comes before that.

    Args:
        rise: Share of the steps in which it rises, in (0, 1).
        first: It begins at 1 / first of the learning rate, which is above 1.
        last: It ends at 1 / last of where it began, at least 1.
    """

    rise: float = 0.3
    first: float = 25.0
    last: float = 1e4

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("rise", self.rise, 0, open_below=True, below=1)
        require_number("first", self.first, 1, open_below=True)
        require_number("last", self.last, 1)

    def factor(self, done: float, epochs: float) -> float:
        part = done / epochs if epochs else 1.0
        lowest = 1 / self.first
        if part < self.rise:
            return 1 + (lowest - 1) * _half_cosine(part / self.rise)
        end = lowest / self.last
        return end + (1 - end) * _half_cosine((part - self.rise) / (1 - self.rise))


@dataclass(frozen=True, kw_only=True)
class Step(Warming):
    """A fraction of the learning rate after every so many epochs.

    Args:
        every_epochs: How many, at least 1.
        gamma: The fraction, in (0, 1).
    """

    every_epochs: int = 10
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_integer("every_epochs", self.every_epochs, 1)
        require_number("gamma", self.gamma, 0, open_below=True, below=1)

    def factor(self, done: float, epochs: float) -> float:
        return self.gamma ** int(done / self.every_epochs + 1e-9)


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """A fraction of the learning rate where a metric has not become better for some epochs.

    Args:
        monitor: The metric, such as `val/ce`.
        mode: `min` or `max`: what is better.
        gamma: The fraction, in (0, 1).
        patience: Epochs without a better value that are let pass, at least 0.
        threshold: Share by which a value must be better, at least 0.
        warmup_epochs: Epochs in which the learning rate rises in equal steps, at least 0; whole
            ones, as it is set once an epoch.

    Raises:
        SettingError: A value breaks its rule.
    """

    monitor: str = "val/ce"
    mode: str = "min"
    gamma: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    warmup_epochs: int = 0

    def __post_init__(self) -> None:
        require(self.mode in ("min", "max"), "mode", "be min or max", self.mode)
        require_number("gamma", self.gamma, 0, open_below=True, below=1)
        require_integer("patience", self.patience, 0)
        require_number("threshold", self.threshold, 0)
        require_integer("warmup_epochs", self.warmup_epochs, 0)

    def __call__(self, optimizer: "Optimizer", steps_per_epoch: int, n_steps: float) -> Scheduler:
        """Return a scheduler of an optimiser."""
        from fer_lightning.training.optim.plateau import WarmedPlateau

        scheduler = WarmedPlateau(
            optimizer,
            self.warmup_epochs,
            mode=self.mode,
            factor=self.gamma,
            patience=self.patience,
            threshold=self.threshold,
        )
        return {"scheduler": scheduler, "interval": "epoch", "monitor": self.monitor}


Schedule = Warming | Plateau | Callable[..., Any]


def configured(
    schedule: Schedule, optimizer: "Optimizer", steps_per_epoch: int, n_steps: float
) -> Scheduler:
    """Return the scheduler of an optimiser as Lightning wants it.

    Args:
        schedule: One of this module, or a function from an optimiser to a scheduler of PyTorch,
            which steps once an epoch.
        optimizer: The optimiser.
        steps_per_epoch: Its steps in an epoch.
        n_steps: Its steps in all; infinite without an end.
    """
    if isinstance(schedule, Warming | Plateau):
        return schedule(optimizer, steps_per_epoch, n_steps)
    return {"scheduler": schedule(optimizer), "interval": "epoch", "monitor": "val/ce"}


def _half_cosine(part: float) -> float:
    """Return 1 at the beginning, 0 at the end, and half a cosine in between."""
    return (1 + math.cos(math.pi * part)) / 2
