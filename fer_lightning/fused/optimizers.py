"""The optimisers, with settings of their own for each of the models that are trained together."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn, optim
from torch.optim import Optimizer

from fer_lightning.fused.stacking import StackedNetwork
from fer_lightning.training import SGD, AdamW, OptimizerSettings


class WithoutCompiler(Optimizer):
    """A PyTorch optimiser that does not import PyTorch's compiler, which takes a second.

    PyTorch hides these methods, and `step`, from its compiler, and imports it for that when they
    are first called; here they are as they were before. So they are not for compiled code.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)


class _SGD(WithoutCompiler, optim.SGD):
    step = torch.no_grad()(inspect.unwrap(optim.SGD.step))


class _AdamW(WithoutCompiler, optim.AdamW):
    step = torch.no_grad()(inspect.unwrap(optim.AdamW.step))


def of_pytorch(settings: OptimizerSettings, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Return the optimiser of PyTorch with these settings, which does not import the compiler."""
    if isinstance(settings, SGD):
        return _SGD(parameters, **settings.arguments)
    assert isinstance(settings, AdamW)
    return _AdamW(parameters, **settings.arguments)


class StackedOptimizer(ABC):
    """Updates the parameters of M models in place.

    Args:
        settings: The settings of each model, all of one class.
        network: Whose chunks are updated.

    Attributes:
        state: Under the names of PyTorch's optimiser, a tensor (M, ...) for each parameter.
    """

    state: dict[str, list[Tensor]]

    def __init__(self, settings: Sequence[OptimizerSettings], network: StackedNetwork) -> None:
        self.settings = settings
        self._like = network.chunks[0]
        self._rates: Tensor | None = None
        self._at = torch.zeros(1, dtype=torch.int64, device=self._like.device)

    def column(self, name: str) -> Tensor:
        """Return the values of one setting for all models, (M, ...)."""
        values = [getattr(settings, name) for settings in self.settings]
        return torch.tensor(values, dtype=self._like.dtype, device=self._like.device)

    @property
    def at(self) -> Tensor:
        """Return the step of the epoch that comes next, (1,), by which rates are found."""
        return self._at

    def use_rates(self, rates: Tensor) -> None:
        """Use these learning rates in the steps of the epoch that begins.

        Args:
            rates: Of each step and model, (steps, M); always as many.
        """
        if self._rates is None:
            self._rates = torch.empty_like(rates, device=self._like.device)
        self._rates.copy_(rates)  # graphs know its address
        self._at.zero_()

    def scheduled(self) -> Tensor | None:
        """Return the learning rates of the step that is taken, (M,), or None: those of settings."""
        if self._rates is None:
            return None
        rates = self._rates.index_select(0, self._at).squeeze(0)
        self._at.add_(1).clamp_(max=len(self._rates) - 1)
        return rates

    def rates_of_epoch(self, n_steps: int) -> Tensor:
        """Return the learning rates of the epoch that begins, (steps, M)."""
        return self.column("lr").expand(n_steps, -1) if self._rates is None else self._rates

    @abstractmethod
    def step(self, chunks: list[Tensor], gradients: list[Tensor]) -> None:
        """Take a step with every model; the gradients, in chunks as well, are overwritten."""

    @abstractmethod
    def tensors(self) -> list[Tensor]:
        """Return the tensors that hold the state, (M, ...) each."""

    def of_model(self, m: int, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Return a PyTorch optimiser of model m that shares its state with this one.

        Args:
            m: Which model.
            parameters: The parameters of model m, in the order of the stacked ones.
        """
        optimizer = of_pytorch(self.settings[m], list(parameters))
        self.share_state(m, optimizer)
        return optimizer

    def share_state(self, m: int, optimizer: Optimizer) -> None:
        """Let a PyTorch optimiser of model m have the state of that model here, as views."""
        (group,) = optimizer.param_groups
        for i, p in enumerate(group["params"] if self.has_state(m) else []):
            optimizer.state[p] = {name: tensors[i][m] for name, tensors in self.state.items()}

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

    def __init__(self, settings: Sequence[SGD], network: StackedNetwork) -> None:
        super().__init__(settings, network)
        self._lr, self._momentum, self._weight_decay, self._nesterov = (
            [_beside(self.column(name), chunk) for chunk in network.chunks]
            for name in ("lr", "momentum", "weight_decay", "nesterov")
        )
        self._decays = any(s.weight_decay for s in settings)
        self._looks_ahead = any(s.nesterov for s in settings)
        moves = any(s.momentum for s in settings)
        self._velocities = [torch.zeros_like(chunk) for chunk in network.chunks if moves]
        self.state = {"momentum_buffer": network.views(self._velocities)} if moves else {}

    def has_state(self, m: int) -> bool:
        return self.settings[m].momentum > 0  # type: ignore[attr-defined]

    def tensors(self) -> list[Tensor]:
        return self._velocities

    @torch.no_grad()
    def step(self, chunks: list[Tensor], gradients: list[Tensor]) -> None:
        scheduled = self.scheduled()
        for i, (p, g) in enumerate(zip(chunks, gradients, strict=True)):
            if self._decays:
                g.addcmul_(p, self._weight_decay[i])
            lr = self._lr[i] if scheduled is None else _beside(scheduled, p)
            p.addcmul_(self._direction(i, g) if self._velocities else g, lr, value=-1)

    def _direction(self, i: int, g: Tensor) -> Tensor:
        """Update the velocities of a chunk, and return the directions of all models.

        With Nesterov momentum they are gradient + momentum * velocity, else the velocity.
        """
        momentum, velocity = self._momentum[i], self._velocities[i]
        torch.addcmul(g, velocity, momentum, out=velocity)
        if not self._looks_ahead:
            return velocity
        return torch.where(self._nesterov[i] > 0, g.addcmul_(velocity, momentum), velocity)


class StackedAdamW(StackedOptimizer):
    """`torch.optim.AdamW` for M models."""

    def __init__(self, settings: Sequence[AdamW], network: StackedNetwork) -> None:
        super().__init__(settings, network)
        self._lr, self._eps = self.column("lr"), self.column("eps")
        self._weight_decay = self.column("weight_decay")
        self._kept = 1 - self._lr * self._weight_decay
        self._betas = self.column("betas").unbind(1)
        # As PyTorch has it, a float32 count, which is the same for each parameter.
        self._steps = torch.zeros(len(settings), device=self._like.device)
        self._first, self._second = (
            [torch.zeros_like(chunk) for chunk in network.chunks] for _ in range(2)
        )
        self.state = {
            "step": [self._steps] * len(network.parameters),
            "exp_avg": network.views(self._first),
            "exp_avg_sq": network.views(self._second),
        }

    def tensors(self) -> list[Tensor]:
        return [self._steps, *self._first, *self._second]

    @torch.no_grad()
    def step(self, chunks: list[Tensor], gradients: list[Tensor]) -> None:
        self._steps += 1
        beta1, beta2 = self._betas
        rest1, rest2 = (1 - beta ** self._steps.to(beta.dtype) for beta in self._betas)
        root = rest2.sqrt()
        rate, kept = self._lr, self._kept
        scheduled = self.scheduled()
        if scheduled is not None:
            rate, kept = scheduled, 1 - scheduled * self._weight_decay
        lr, eps = rate * root / rest1, self._eps * root
        for p, g, first, second in zip(chunks, gradients, self._first, self._second, strict=True):
            first.lerp_(g, _beside(1 - beta1, p))
            second.lerp_(g.mul_(g), _beside(1 - beta2, p))
            spread = second.sqrt().add_(_beside(eps, p))
            p.mul_(_beside(kept, p))
            p.addcmul_(torch.div(first, spread, out=spread), _beside(lr, p), value=-1)


def stacked(settings: Sequence[OptimizerSettings], network: StackedNetwork) -> StackedOptimizer:
    """Return the optimiser of M models from the settings of each, all of one class."""
    if isinstance(settings[0], SGD):
        return StackedSGD(settings, network)  # type: ignore[arg-type]
    return StackedAdamW(settings, network)  # type: ignore[arg-type]


def _beside(column: Tensor, chunk: Tensor) -> Tensor:
    """Return a setting of all models, (M,), as (M, 1, ...), to broadcast over a chunk."""
    return column.view(-1, *[1] * (chunk.ndim - 1))
