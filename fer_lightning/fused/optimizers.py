"""The optimisers, with settings of their own for each of the models that are trained together."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fer_lightning.optimizers import SGD, AdamW, OptimizerSettings


class StackedOptimizer(ABC):
    """Updates the parameters of M models in place.

    Args:
        settings: Of each model, all of one class.
        parameters: (M, ...) each.

    Attributes:
        state: Under the names of PyTorch's optimiser, a tensor (M, ...) for each parameter.
    """

    state: dict[str, list[Tensor]]

    def __init__(self, settings: Sequence[OptimizerSettings], parameters: Sequence[Tensor]) -> None:
        self.settings = settings
        self._like = parameters[0]

    def column(self, name: str) -> Tensor:
        """One setting of all models, (M, ...)."""
        values = [getattr(settings, name) for settings in self.settings]
        return torch.tensor(values, dtype=self._like.dtype, device=self._like.device)

    @abstractmethod
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Take a step with every model; the gradients are overwritten."""

    def of_model(self, m: int, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """PyTorch's optimiser of model m, whose state follows each step that is taken here.

        Args:
            m: Which model.
            parameters: Its own, in the order of all.
        """
        own = list(parameters)
        optimizer = self.settings[m](own)
        for i, p in enumerate(own if self.has_state(m) else []):
            optimizer.state[p] = {name: tensors[i][m] for name, tensors in self.state.items()}
        return optimizer

    def load(self, m: int, state: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Take over the state that PyTorch's optimiser of model m had, by parameter and name."""
        for i, of_parameter in state.items():
            for name, value in of_parameter.items():
                self.state[name][i][m] = value

    def has_state(self, m: int) -> bool:
        """Whether PyTorch's optimiser would keep a state for model m."""
        return bool(self.state)


class StackedSGD(StackedOptimizer):
    """`torch.optim.SGD` for M models."""

    def __init__(self, settings: Sequence[SGD], parameters: Sequence[Tensor]) -> None:
        super().__init__(settings, parameters)
        self._lr, self._momentum = self.column("lr"), self.column("momentum")
        self._weight_decay = self.column("weight_decay")
        self._nesterov = self.column("nesterov") > 0
        self._decays = any(s.weight_decay for s in settings)
        self._looks_ahead = any(s.nesterov for s in settings)
        moves = any(s.momentum for s in settings)
        self.state = {"momentum_buffer": [torch.zeros_like(p) for p in parameters]} if moves else {}

    def has_state(self, m: int) -> bool:
        return bool(self.state) and bool(self._momentum[m] > 0)

    @torch.no_grad()
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            shape = (-1, *[1] * (p.ndim - 1))
            if self._decays:
                g.addcmul_(p, self._weight_decay.view(shape))
            if self.state:
                momentum = self._momentum.view(shape)
                velocity = self.state["momentum_buffer"][i].mul_(momentum).add_(g)
                if self._looks_ahead:
                    ahead = g.addcmul_(velocity, momentum)
                    g = torch.where(self._nesterov.view(shape), ahead, velocity)
                else:
                    g = velocity
            p.addcmul_(g, self._lr.view(shape), value=-1)


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
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            shape = (-1, *[1] * (p.ndim - 1))
            steps, first, second = (tensors[i] for tensors in self.state.values())
            steps += 1
            beta1, beta2 = (beta.view(shape) for beta in self._betas)
            rest1, rest2 = (1 - beta ** steps.to(beta.dtype) for beta in self._betas)
            p.mul_(self._kept.view(shape))
            first.lerp_(g, 1 - beta1)
            second.mul_(beta2).addcmul_(g * g, 1 - beta2)
            spread = (second.sqrt() / rest2.sqrt().view(shape)).add_(self._eps.view(shape))
            p.sub_(first * (self._lr / rest1).view(shape) / spread)


def stacked(
    settings: Sequence[OptimizerSettings], parameters: Sequence[Tensor]
) -> StackedOptimizer:
    """The optimiser of M models from the settings of each, all of one class."""
    if isinstance(settings[0], SGD):
        return StackedSGD(settings, parameters)  # type: ignore[arg-type]
    return StackedAdamW(settings, parameters)  # type: ignore[arg-type]
