"""Groups of too few runs for all cores, which are trained side by side."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import torch

from fer_lightning.fused import has_loops, loops_pay_on_one_core
from fer_lightning.sweeps.launching.memory import bytes_of_run
from fer_lightning.training import Run

Group = dict[int, Run]  # by position in the sweep


def is_small(runs: Sequence[Run], *, go_on: bool) -> bool:
    """Return whether so few runs leave cores idle that compiled loops train them on one.

    Args:
        runs: Runs that can be trained together.
        go_on: Whether they were, which decides that they are.
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1 or not 0 < len(runs) < 2 * n_threads:
        return False
    first, network, config = runs[0], runs[0].model.network, runs[0].config
    if first.device.type != "cpu" or not has_loops(network, first.model.optimizer):
        return False
    if go_on:
        return True
    n_threads = config.threads or n_threads
    pays = loops_pay_on_one_core(network, first.datamodule.batch_size, n_threads)
    return pays and config.engine != "lightning"


def side_by_side(
    groups: Sequence[Group], budget: Callable[[torch.device], int]
) -> Iterator[list[Group]]:
    """Yield sets of small groups that are trained side by side, each by one core at a time.

    A group that would keep one core busy when the others are done is trained by itself, by as many
    cores as it has runs.

    Args:
        groups: The groups.
        budget: Returns how many bytes runs on a device may take at once.
    """
    left = sorted(groups, key=_work, reverse=True)
    while len(left) > 1 and _alone(left[0]) + _together(left[1:]) < _together(left):
        yield [left.pop(0)]
    while left:
        taken = list(accumulate(_bytes(group) for group in left))
        allowed = budget(_first(left[0]).device)
        n = max(1, sum(total <= allowed for total in taken))
        yield left[:n]
        left = left[n:]


def _alone(group: Group) -> float:
    """Return about how long a group takes by itself, in the unit of `_work`."""
    return _work(group) / min(len(group), torch.get_num_threads())


def _together(groups: Sequence[Group]) -> float:
    """Return about how long groups take side by side, in the unit of `_work`."""
    work = [_work(group) for group in groups]
    return max(*work, sum(work) / torch.get_num_threads())


def _work(group: Group) -> int:
    """Return about how much work an epoch is: weights times faces."""
    run = _first(group)
    n_weights = sum(p.numel() for p in run.model.parameters())
    return len(group) * n_weights * len(run.datamodule.splits.train)


def _bytes(group: Group) -> int:
    return len(group) * bytes_of_run(_first(group))


def _first(group: Group) -> Run:
    return next(iter(group.values()))
