"""Groups of too few runs for all cores, which are trained side by side."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import torch

from fer_lightning.fused import has_loops
from fer_lightning.sweeps.launching.memory import bytes_of_run
from fer_lightning.training import Run

Group = dict[int, Run]  # by position in the sweep


def is_small(runs: Sequence[Run]) -> bool:
    """Return whether so few runs leave cores idle that compiled loops train them on one."""
    if not 0 < len(runs) < 2 * torch.get_num_threads() or runs[0].device.type != "cpu":
        return False
    return has_loops(runs[0].model.network, runs[0].model.optimizer)


def side_by_side(
    groups: Sequence[Group], budget: Callable[[torch.device], int]
) -> Iterator[list[Group]]:
    """Yield sets of small groups that are trained side by side, each by one core at a time.

    A group that is more work than a core's share of all is trained by itself, by all of them.

    Args:
        groups: The groups.
        budget: Returns how many bytes runs on a device may take at once.
    """
    left = sorted(groups, key=_work, reverse=True)
    while left and torch.get_num_threads() * _work(left[0]) > sum(map(_work, left)):
        yield [left.pop(0)]
    while left:
        taken = list(accumulate(_bytes(group) for group in left))
        allowed = budget(_first(left[0]).device)
        n = max(1, sum(total <= allowed for total in taken))
        yield left[:n]
        left = left[n:]


def _work(group: Group) -> int:
    """Return about how much work an epoch is: weights times faces."""
    run = _first(group)
    n_weights = sum(p.numel() for p in run.model.parameters())
    return len(group) * n_weights * len(run.datamodule.splits.train)


def _bytes(group: Group) -> int:
    return len(group) * bytes_of_run(_first(group))


def _first(group: Group) -> Run:
    return next(iter(group.values()))
