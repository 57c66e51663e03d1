"""A compiled step of the fused training, where it is faster and there is time to earn it back."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from fer_lightning.errors import InputError
from fer_lightning.fused.engine import FusedTraining, Step, gathered
from fer_lightning.fused.gradients import gradients

PAYS_AFTER = 60.0  # seconds of training that are left: a compilation takes ten to twenty
_STEPS = 100


def compiled_step(training: FusedTraining) -> Step:
    """Return the training step as one compiled function, for minibatches of a fixed size."""
    network, optimizer = training.network, training.optimizer
    dtype = network.parameters[0].dtype

    def step(pixels: Sequence[Tensor], rows: Tensor, labels: Tensor) -> Tensor:
        images = gathered(pixels, rows, dtype)
        found, logits = gradients(network, images, labels, 1 / labels.shape[1])
        optimizer.step(network.parameters, found)
        return logits

    if network.parameters[0].is_cuda:
        return _replayed(step, training.tensors())
    return torch.compile(step, fullgraph=True, dynamic=False)


def _replayed(step: Step, changing: Sequence[Tensor]) -> Step:
    """Return the step as a CUDA graph, which is launched as a whole.

    Args:
        step: What to compile.
        changing: The tensors that it changes in place, whose addresses stay the same.
    """
    for tensor in changing:
        torch._dynamo.mark_static_address(tensor)
    graph = torch.compile(step, fullgraph=True, dynamic=False, mode="reduce-overhead")

    def run(pixels: Sequence[Tensor], rows: Tensor, labels: Tensor) -> Tensor:
        # the next replay writes over what this one returns
        return graph(pixels, rows, labels).clone()

    return run


class Compilation:
    """Decides after the first epoch of a training whether the others use the compiled step.

    Args:
        wanted: True, False, or None: only if the remaining epochs would take over a minute, and the
            compiled step is measured to be faster.
    """

    def __init__(self, wanted: bool | None) -> None:
        self.wanted = wanted
        self._is_open = wanted is not False

    def consider(self, training: FusedTraining, seconds_left: float) -> str | None:
        """Compile the step if that may save time, and return a message about it, or None.

        Args:
            training: A training whose first epoch is over.
            seconds_left: Expected seconds of the remaining epochs without compilation.

        Raises:
            InputError: Compiled steps were asked for, and PyTorch cannot make them here.
        """
        may_pay = self._is_open and (self.wanted or seconds_left > PAYS_AFTER)
        self._is_open = False
        if not may_pay:
            return None
        begin = time.perf_counter()
        try:
            step = compiled_step(training)
            plain, compiled = _milliseconds(training, None), _milliseconds(training, step)
        except Exception as error:  # a compiler that is missing or fails does so in many ways
            if self.wanted:
                raise InputError(
                    f"compile must be false here, as PyTorch fails: {error}"
                ) from error
            return "steps are not compiled: PyTorch finds no compiler that works"
        if self.wanted or compiled < plain:
            training.compiled = step
        verdict = "are" if training.compiled else "are not"
        told = f"{compiled:.2f} ms compiled and {plain:.2f} ms not"
        seconds = time.perf_counter() - begin
        return f"steps {verdict} compiled: one takes {told} (found out in {seconds:.0f} s)"


def _milliseconds(training: FusedTraining, step: Step | None) -> float:
    """Return the median time of a step; the state of the training is restored afterwards."""
    tensors = training.tensors()
    kept = [t.clone() for t in tensors]
    faces = training.training_faces(0)
    training.compiled = step
    starts = list(faces.starts(training.batch_size))[:_STEPS]
    times = []
    for start in [*starts[:1], *starts]:  # the first compiles
        begin = time.perf_counter()
        training.step(faces, start)
        times.append(time.perf_counter() - begin)
    training.compiled = None
    for t, values in zip(tensors, kept, strict=True):
        t.copy_(values)
    return 1e3 * sorted(times[1:])[len(times) // 2 - 1]
