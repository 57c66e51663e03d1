"""Compiled functions on parts of the points, side by side on the cores."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from threading import Lock
from typing import Any

import torch
from threadpoolctl import ThreadpoolController


def n_threads() -> int:
    """Return how many threads PyTorch would use: `torch.set_num_threads` holds here, too."""
    return torch.get_num_threads()


def run(calls: Sequence[Callable[[], Any]]) -> None:
    """Call functions that leave Python's lock, side by side; the first in this thread."""
    if len(calls) == 1:
        calls[0]()
        return
    rest = [_pool(os.getpid(), len(calls) - 1).submit(call) for call in calls[1:]]
    calls[0]()
    for future in rest:
        future.result()


def parts(n: int, work: float) -> list[tuple[int, int]]:
    """Return the ranges of n rows that the threads take; few where there is little work.

    Args:
        n: Rows.
        work: Multiplications, roughly.
    """
    n_parts = max(1, min(n_threads(), n, int(work / _WORTH_A_THREAD)))
    edges = [n * i // n_parts for i in range(n_parts + 1)]
    return list(pairwise(edges))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep BLAS from starting threads of its own within those that call it.

    That holds for the whole process, until the last of those that asked for it has ended.
    """
    with _asking:
        if not _limits:
            _limits.append(_libraries().limit(limits=1, user_api="blas"))
        _limits.append(None)
    try:
        yield
    finally:
        with _asking:
            _limits.pop()
            if len(_limits) == 1:
                _limits.pop().restore_original_limits()


_asking = Lock()
_limits: list[Any] = []  # the limit, and None for each that asked for it


# A tenth of a millisecond: a thread is told of its part in a quarter of that.
_WORTH_A_THREAD = 1e6


@cache
def _pool(process: int, n: int) -> ThreadPoolExecutor:
    """Return a pool of n threads; a forked process has none of its parent's."""
    return ThreadPoolExecutor(max(n, 1), thread_name_prefix="gmm")


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
