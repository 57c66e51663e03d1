"""EM on a GPU without waits: iterations as CUDA graphs, and a look at what an earlier one found."""

import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Replay:
    """A function without arguments, captured as a CUDA graph after its first call.

    The tensors that it reads or changes must keep their addresses.

    Args:
        function: What to call.
        captures: Whether it may be captured; else it is called again and again.
    """

    def __init__(self, function: Callable[[], None], captures: bool) -> None:
        self._function, self._captures = function, captures
        self._was_called = False
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        if self.graph is None and self._was_called and self._captures:
            self.graph = torch.cuda.CUDAGraph()
            with _no_collection(), torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self._function()
        if self.graph is not None:
            self.graph.replay()
        else:
            self._function()
            self._was_called = True


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector still: a graph that it frees would break a capture.

    `fer_lightning/fused/graphs.py` has the same, as neither package knows the other.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Glance:
    """Shows a small tensor as it was some calls ago, so that a GPU need not run dry for it.

    Args:
        lag: How many calls ago on a GPU; elsewhere it is shown as it is.
    """

    def __init__(self, lag: int) -> None:
        self._lag = lag
        self._pending: deque[tuple[Tensor, torch.cuda.Event]] = deque()

    def __call__(self, tensor: Tensor) -> Tensor | None:
        """Return the tensor of the call `lag` calls ago, on the CPU, or None before that."""
        if not tensor.is_cuda or self._lag == 0:
            return tensor.cpu()
        copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        copy.copy_(tensor, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._pending.append((copy, event))
        if len(self._pending) <= self._lag:
            return None
        earlier, event = self._pending.popleft()
        event.synchronize()
        return earlier
