"""The optimisers, with settings of their own for each of the models that are trained together."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fer_lightning.training import SGD, AdamW, OptimizerSettings


class StackedOptimizer(ABC):
    """Updates the parameters of M models in place.

    Args:
        settings: The settings of each model, all of one class.
        parameters: The parameters of all models, (M, ...) each.

    Attributes:
        state: Under the names of PyTorch's optimiser, a tensor (M, ...) for each parameter.
    """

    state: dict[str, list[Tensor]]

    def __init__(self, settings: Sequence[OptimizerSettings], parameters: Sequence[Tensor]) -> None:
        self.settings = settings
        self._like = parameters[0]

    def column(self, name: str) -> Tensor:
        """Return the values of one setting for all models, (M, ...)."""
        values = [getattr(settings, name) for settings in self.settings]
        return torch.tensor(values, dtype=self._like.dtype, device=self._like.device)

    @abstractmethod
    def step(self, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Take a step with every model; the gradients are overwritten."""

    def of_model(self, m: int, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Return a PyTorch optimiser of model m that shares its state with this one.

        Args:
            m: Which model.
            parameters: The parameters of model m, in the order of the stacked ones.
        """
        own = list(parameters)
        optimizer = self.settings[m](own)
        for i, p in enumerate(own if self.has_state(m) else []):
            optimizer.state[p] = {name: tensors[i][m] for name, tensors in self.state.items()}
        return optimizer

    def load(self, m: int, state: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Load the state of a PyTorch optimiser of model m, given by parameter and name."""
        for i, of_parameter in state.items():
            for name, value in of_parameter.items():
                self.state[name][i][m] = value

    def has_state(self, m: int) -> bool:
        """Return whether PyTorch's optimiser would keep a state for model m."""
        return bool(self.state)


class StackedSGD(StackedOptimizer):
    """`torch.optim.SGD` for M models."""

    def __init__(self, settings: Sequence[SGD], parameters: Sequence[Tensor]) -> None:
        super().__init__(settings, parameters)
        self._lr, self._momentum, self._weight_decay, self._nesterov = (
            [_beside(self.column(name), p) for p in parameters]
            for name in ("lr", "momentum", "weight_decay", "nesterov")
        )
        self._decays = any(s.weight_decay for s in settings)
        self._looks_ahead = any(s.nesterov for s in settings)
        moves = any(s.momentum for s in settings)
        self.state = {"momentum_buffer": [torch.zeros_like(p) for p in parameters]} if moves else {}

    def has_state(self, m: int) -> bool:
        return self.settings[m].momentum > 0  # type: ignore[attr-defined]

    @torch.no_grad()
    def step(self, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        if self._decays:
            torch._foreach_addcmul_(gradients, parameters, self._weight_decay)
        if self.state:
            velocities = self.state["momentum_buffer"]
            torch._foreach_mul_(velocities, self._momentum)
            torch._foreach_add_(velocities, gradients)
            gradients = self._ahead(gradients, velocities) if self._looks_ahead else velocities
        torch._foreach_addcmul_(parameters, gradients, self._lr, value=-1)

    def _ahead(self, gradients: list[Tensor], velocities: list[Tensor]) -> list[Tensor]:
        """Return the update directions of all models.

        With Nesterov momentum they are gradient + momentum * velocity, else the velocity.
        """
        torch._foreach_addcmul_(gradients, velocities, self._momentum)
        each = zip(self._nesterov, gradients, velocities, strict=True)
        return [torch.where(nesterov > 0, g, v) for nesterov, g, v in each]


class StackedAdamW(StackedOptimizer):
    """`torch.optim.AdamW` for M models."""

    def __init__(self, settings: Sequence[AdamW], parameters: Sequence[Tensor]) -> None:
        super().__init__(settings, parameters)
        self._lr, self._eps = self.column("lr"), self.column("eps")
        self._kept = 1 - self._lr * self.column("weight_decay")
        self._betas = self.column("betas").unbind(1)
        # As PyTorch has it: a float32 count for each parameter.
        steps = [torch.zeros(len(settings), device=p.device) for p in parameters]
        names = ("exp_avg", "exp_avg_sq")
        means = {name: [torch.zeros_like(p) for p in parameters] for name in names}
        self.state = {"step": steps, **means}

    @torch.no_grad()
    def step(self, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            steps, first, second = (tensors[i] for tensors in self.state.values())
            steps += 1
            beta1, beta2 = (_beside(beta, p) for beta in self._betas)
            rest1, rest2 = (1 - beta ** steps.to(beta.dtype) for beta in self._betas)
            p.mul_(_beside(self._kept, p))
            first.lerp_(g, 1 - beta1)
            second.mul_(beta2).addcmul_(g * g, 1 - beta2)
            spread = (second.sqrt() / _beside(rest2.sqrt(), p)).add_(_beside(self._eps, p))
            p.sub_(first * _beside(self._lr / rest1, p) / spread)


def stacked(
    settings: Sequence[OptimizerSettings], parameters: Sequence[Tensor]
) -> StackedOptimizer:
    """Return the optimiser of M models from the settings of each, all of one class."""
    if isinstance(settings[0], SGD):
        return StackedSGD(settings, parameters)  # type: ignore[arg-type]
    return StackedAdamW(settings, parameters)  # type: ignore[arg-type]


def _beside(column: Tensor, parameter: Tensor) -> Tensor:
    """Return a setting of all models, (M,), as (M, 1, ...), to broadcast over a parameter."""
    return column.view(-1, *[1] * (parameter.ndim - 1))
