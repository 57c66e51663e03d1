"""What Lightning does around a step and nothing has a use for, left out.

A step of a small network takes less time than Lightning's calls of hooks that do nothing. Whatever
is there to be called, is called, and what a run computes is the same.
"""

import functools
import inspect
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import lightning as L
from lightning.pytorch.loops.optimization.automatic import _AutomaticOptimization
from lightning.pytorch.plugins.precision import DoublePrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

# The hooks that Lightning calls in every step, of callbacks and of the module.
AROUND_THE_STEP = ("on_train_batch_start", "on_train_batch_end")
WITHIN_THE_STEP = (
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
)
# What a module can take into its own hands.
OF_MODULE = ("backward", "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping")


class NoProfiler(PassThroughProfiler):
    """A profiler that measures nothing, and does nothing either."""

    _NOTHING = nullcontext("")

    def profile(self, action_name: str) -> AbstractContextManager[Any]:  # type: ignore[override]
        return self._NOTHING


def remember_signature(step: Any) -> Any:
    """Store the signature of a step of a module, for which Lightning asks each time."""
    step.__signature__ = inspect.signature(step)
    return step


def make_lean(trainer: L.Trainer, model: L.LightningModule) -> None:
    """Let a training that is about to begin pass over what does nothing."""
    empty = set(AROUND_THE_STEP + WITHIN_THE_STEP)
    for owner, base in (
        (model, L.LightningModule),
        *((callback, L.Callback) for callback in trainer.callbacks),  # type: ignore[attr-defined]
    ):
        for hook in AROUND_THE_STEP + WITHIN_THE_STEP:
            if getattr(type(owner), hook) is getattr(base, hook):
                object.__setattr__(owner, hook, None)  # which Lightning passes over
            else:
                empty.discard(hook)
    plain = (
        empty.issuperset(WITHIN_THE_STEP)
        and all(
            getattr(type(model), name) is getattr(L.LightningModule, name) for name in OF_MODULE
        )
        and type(trainer.strategy) is SingleDeviceStrategy
        and type(trainer.precision_plugin) in (Precision, DoublePrecision)
        and isinstance(getattr(trainer, "profiler", None), NoProfiler)
        and not trainer.gradient_clip_val
    )
    if plain:
        trainer.fit_loop.epoch_loop.automatic_optimization = LeanOptimization(trainer)


@functools.cache
def _asks_for_losses(kind: Any) -> bool:
    """Return whether steps of this kind of optimiser compute losses themselves, as of LBFGS."""
    closure = inspect.signature(kind.step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty


class LeanOptimization(_AutomaticOptimization):
    """Takes a plain step as Lightning does, without the hooks in it, of which there are none."""

    def run(
        self, optimizer: Optimizer, batch_idx: int, kwargs: "OrderedDict[str, Any]"
    ) -> dict[str, Any]:
        trainer = self.trainer
        kind: Any = type(optimizer)
        several = trainer.accumulate_grad_batches != 1 or _asks_for_losses(kind)
        if self._skip_backward or several:
            return super().run(optimizer, batch_idx, kwargs)
        progress = self.optim_progress.optimizer
        progress.step.increment_ready()
        model = trainer.lightning_module
        model._current_fx_name = "training_step"  # what `log` asks for
        with trainer.precision_plugin.train_step_context():
            loss = model.training_step(*kwargs.values())
        assert isinstance(loss, Tensor)
        progress.zero_grad.increment_ready()
        progress.zero_grad.increment_started()
        optimizer.zero_grad()
        progress.zero_grad.increment_completed()
        loss.backward()
        optimizer.step()
        progress.step.increment_completed()
        return {"loss": loss.detach()}
