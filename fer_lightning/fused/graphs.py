"""Steps of the fused training as CUDA graphs, which a GPU runs without waiting for Python."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from fer_lightning.fused.side_by_side import Minibatch, SideBySide

# Steps of a graph: so many that launching it costs them nothing, so few that capturing it does not,
# either.
BUNDLED = 64


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector still: a graph that it frees would break a capture.

    `gmm/fitting/replay.py` has the same, as neither package knows the other.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Graph:
    """A function without arguments, captured as a CUDA graph.

    It must have been called before, so that the libraries behind it are set up, and every tensor
    that it reads or changes keeps its address.

    Args:
        function: What to capture.
    """

    def __init__(self, function: Callable[[], Tensor]) -> None:
        self._graph = torch.cuda.CUDAGraph()
        with _no_collection(), torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._result = function()

    def __call__(self) -> Tensor:
        """Run the function; the next call writes over what this one returns."""
        self._graph.replay()
        return self._result


class Bundles:
    """Takes the steps of an epoch in bundles, each a CUDA graph captured when first needed.

    Args:
        step: Takes a step on a minibatch, and returns its logits, (M, B, 7).
        changing: Returns the tensors that a step changes in place.
    """

    def __init__(
        self, step: Callable[[Minibatch], Tensor], changing: Callable[[], list[Tensor]]
    ) -> None:
        self._step, self._changing = step, changing
        self._captured: dict[tuple[int, ...], _Bundle] = {}

    def __len__(self) -> int:
        return len(self._captured)

    def __call__(self, faces: SideBySide, batch_size: int) -> list[Tensor]:
        """Take a step on each minibatch; return the logits of each bundle, (M, T, 7)."""
        length, n = faces.rows.shape[1], BUNDLED * batch_size
        places = [(start, min(start + n, length)) for start in range(0, length, n)]
        return [self._bundle(faces, *place, batch_size)(faces, place[0]) for place in places]

    def forget(self) -> None:
        """Drop all graphs, as the step is another from now on."""
        self._captured.clear()

    def _bundle(self, faces: SideBySide, start: int, stop: int, batch_size: int) -> "_Bundle":
        key = (stop - start, *faces.lengths_between(start, stop))
        if key not in self._captured:
            own = faces.part(start, stop)
            minibatches = own.minibatches(batch_size)
            self._warm_up(minibatches)
            self._captured[key] = _Bundle(own, minibatches, self._step)
        return self._captured[key]

    def _warm_up(self, minibatches: Sequence[Minibatch]) -> None:
        """Take the first and the last step, and undo them."""
        tensors = self._changing()
        kept = [t.clone() for t in tensors]
        for minibatch in (minibatches[0], minibatches[-1]):
            self._step(minibatch)
        for t, values in zip(tensors, kept, strict=True):
            t.copy_(values)


class _Bundle:
    """A CUDA graph of steps on places of its own, which other faces are copied into."""

    def __init__(
        self,
        own: SideBySide,
        minibatches: Sequence[Minibatch],
        step: Callable[[Minibatch], Tensor],
    ) -> None:
        self._own, self._minibatches = own, minibatches  # what the graph reads
        self._graph = Graph(lambda: torch.cat([step(minibatch) for minibatch in minibatches], 1))

    def __call__(self, faces: SideBySide, start: int) -> Tensor:
        self._own.fill(faces, start)
        return self._graph().clone()
