"""CUDA graphs, and a compiled step where it is faster and there is time to earn it back."""

import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from fer_lightning.errors import InputError
from fer_lightning.fused.engine import FusedTraining, Step
from fer_lightning.fused.gradients import gradients
from fer_lightning.fused.side_by_side import gathered

PAYS_AFTER = 60.0  # seconds of training that are left: a compilation takes ten to twenty
_STEPS, _EPOCHS = 100, 3  # that are timed


def compiled_step(training: FusedTraining) -> Step:
    """Return the training step as one compiled function, for minibatches of a fixed size."""
    network, optimizer = training.network, training.optimizer
    dtype = network.chunks[0].dtype

    def step(pixels: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
        images = gathered(pixels, rows, dtype)
        found, logits = gradients(network, images, labels, 1 / labels.shape[1])
        optimizer.step(network.chunks, network.chunked(found))
        return logits

    return torch.compile(step, fullgraph=True, dynamic=False)


class Compilation:
    """Decides how the steps of a training run.

    On a GPU they are launched as CUDA graphs from the first on, unless nothing may be compiled.
    After the first epoch it is decided whether the others use the compiled step.

    Args:
        training: A training that has not begun.
        wanted: True, False, or None: only if the remaining epochs would take over a minute, and the
            compiled step is measured to be faster.
    """

    def __init__(self, training: FusedTraining, wanted: bool | None) -> None:
        self.training, self.wanted = training, wanted
        training.use_graphs = wanted is not False
        self._is_open = wanted is not False

    def consider(self, seconds_left: float) -> str | None:
        """Compile the step if that may save time, and return a message about it, or None.

        Args:
            seconds_left: Expected seconds of the remaining epochs without compilation.

        Raises:
            InputError: Compiled steps were asked for, and PyTorch cannot make them here.
        """
        may_pay = self._is_open and (self.wanted or seconds_left > PAYS_AFTER)
        self._is_open = False
        if not may_pay:
            return None
        if self.training.native is not None:
            return "steps are loops that are compiled already" if self.wanted else None
        begin = time.perf_counter()
        training = self.training
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # how PyTorch's compiler goes about it
                step = compiled_step(training)
                plain, compiled = _milliseconds(training, None), _milliseconds(training, step)
        except Exception as error:  # a compiler that is missing or fails does so in many ways
            if self.wanted:
                raise InputError(
                    f"compile must be false here, as PyTorch fails: {error}"
                ) from error
            return "steps are not compiled: PyTorch finds no compiler that works"
        if self.wanted or compiled < plain:
            training.use(step)
        verdict = "are" if training.compiled else "are not"
        told = f"{compiled:.2f} ms compiled and {plain:.2f} ms not"
        seconds = time.perf_counter() - begin
        return f"steps {verdict} compiled: one takes {told} (found out in {seconds:.0f} s)"


def _milliseconds(training: FusedTraining, step: Step | None) -> float:
    """Return the median time of a step; the state of the training is restored afterwards."""
    tensors = training.changing()
    kept = [t.clone() for t in tensors]
    training.use(step)
    training.arrange(0)
    minibatches = training.train.minibatches(training.batch_size)
    calls: list[Callable[[], object]] = [partial(training.step, b) for b in minibatches[:_STEPS]]
    steps_of_call = 1
    if training.in_graphs:
        calls, steps_of_call = [lambda: _an_epoch(training)] * _EPOCHS, len(minibatches)
    times = []
    for call in [calls[0], *calls]:  # the first compiles
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    training.use(None)
    for t, values in zip(tensors, kept, strict=True):
        t.copy_(values)
    return 1e3 * statistics.median(times[1:]) / steps_of_call


def _an_epoch(training: FusedTraining) -> None:
    training.train_steps(0)
    torch.cuda.synchronize()
