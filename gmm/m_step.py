"""The M-step: weighted sums over all points, and the parameters that they ask for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gmm.density import Parameters
from gmm.points import Block, Points
from gmm.structures import Columns, Covariance, Moments, structure

_ABANDONED = 1e-12
_COUNT_OFFSET = 10 * torch.finfo(torch.float64).eps
_STILL = 1e-7
_FEW = 4

Responsibilities = Callable[[Block], Tensor]


def m_step(
    sums: tuple[Tensor, Moments],
    old: Parameters,
    columns: Columns,
    reg_covar: float,
    min_variance: float,
) -> tuple[Parameters, Tensor]:
    """Return the parameters that the responsibilities give (Bishop 2006, eqs. 9.24-9.27).

    Args:
        sums: Counts and moments from `Sums`.
        old: Parameters that components without points keep.
        columns: Packing of the components.
        reg_covar: See `fit_em`.
        min_variance: See `fit_em`.

    Returns:
        The new parameters, and which components are empty, (G, M, K).
    """
    kind = structure(old.covariance_type)
    counts, moments = sums
    empty = counts < _ABANDONED
    # The offset is scikit-learn's.
    counts = counts + _COUNT_OFFSET
    means, covariances = kind.update(counts, moments, old.means, columns)
    covariances = kind.floor(covariances, reg_covar, min_variance)
    unused = old.log_weights == -torch.inf
    shares = counts.masked_fill(unused, 0)
    log_weights = (shares / shares.sum(-1, keepdim=True)).log()
    keep = empty | unused
    means = torch.where(keep.unsqueeze(-1), old.means, means)
    if not kind.is_shared:
        shape = (*keep.shape, *[1] * (covariances.ndim - keep.ndim))
        covariances = torch.where(keep.view(shape), old.covariances, covariances)
    new = replace(old, log_weights=log_weights, means=means, covariances=covariances)
    return new, empty & ~unused


@dataclass
class _Kept:
    """The responsibilities of one block, and the sums that they gave.

    `counts` are the counts when all rows of the block were last summed.
    """

    resp: Tensor
    counts: Tensor
    moments: Moments


class Sums:
    """Counts and moments of all points, weighted by responsibilities; kept between EM steps.

    Over hundreds of features nearly every point belongs to one component alone, and after a few
    steps it stays there. On a CPU the sums of float32 blocks in memory are therefore brought up to
    date by the points whose responsibilities have moved, a tenth of them or fewer, as an
    incremental EM would do (Neal & Hinton 1998), but leaving out none that matters: what is passed
    over is at most 1e-7 of a component's count, less than float32's rounding.

    Args:
        points: The G data sets.
        covariance_type: Decides which moments are wanted.
        columns: Packing of the components.
    """

    def __init__(self, points: Points, covariance_type: str, columns: Columns) -> None:
        self.points = points
        self.kind: Covariance = structure(covariance_type)
        self.columns = columns
        self._kept: dict[tuple[int, int], _Kept] = {}

    def __call__(
        self,
        blocks: Iterator[Block],
        responsibilities: Responsibilities,
        means: Tensor,
        factors: Tensor | None = None,
    ) -> tuple[Tensor, Moments]:
        """Return the counts and moments summed over all points.

        Args:
            blocks: The blocks to sum over.
            responsibilities: A function from a block to its responsibilities, (G, n, M, K).
            means: Of the old parameters, (G, M, K, D).
            factors: Of the old covariances, see `Covariance.factor`; only those of factor analysis
                are needed.

        Returns:
            The counts (G, M, K), and the moments of `Covariance.moments`, in float64.
        """
        G, device = len(self.points), self.points.device
        counts = torch.zeros(means.shape[:3], dtype=torch.float64, device=device)
        moments: list[Tensor] = []
        for block in blocks:
            resp = block.mask(responsibilities(block))
            share, parts = self._of_block(block, resp, means, factors)
            counts[block.sets] += share
            if not moments:
                moments = [
                    torch.zeros(G, *p.shape[1:], dtype=torch.float64, device=device) for p in parts
                ]
            for total, part in zip(moments, parts, strict=True):
                total[block.sets] += part
        return self.points.total(counts), tuple(map(self.points.total, moments))

    def state(self) -> list[dict[str, Any]]:
        """Return the responsibilities and sums kept from the last step, for each block."""
        return [
            {"place": list(place), "kept": [kept.resp, kept.counts, *kept.moments]}
            for place, kept in self._kept.items()
        ]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Restore the responsibilities and sums that `state` returned."""
        for entry in state:
            resp, counts, *moments = entry["kept"]
            g, start = entry["place"]
            self._kept[g, start] = _Kept(resp, counts, tuple(moments))

    def _of_block(
        self, block: Block, resp: Tensor, means: Tensor, factors: Tensor | None
    ) -> tuple[Tensor, Moments]:
        if not self._may_keep(block, resp):
            return self.kind.sums(block, resp, means, self.columns, factors)
        counts = resp.sum(1, dtype=torch.float64)
        return counts, self._moments(block, resp, counts, means)

    def _moments(self, block: Block, resp: Tensor, counts: Tensor, means: Tensor) -> Moments:
        place = (block.sets.start, block.start)
        kept = self._kept.get(place)
        rows = None
        # What is left of a component that lost its points is dust of their rounding.
        if kept is not None and bool((counts.clamp_min(_ABANDONED) * _FEW > kept.counts).all()):
            rows = _moved(resp, kept.resp, counts)
        if kept is None or rows is None:
            kept = _Kept(resp, counts, self.kind.moments(block, resp, means, self.columns))
            self._kept[place] = kept
        elif rows.shape[-1] > 0:
            self._bring_up_to_date(kept, block, resp, rows)
        return kept.moments

    def _may_keep(self, block: Block, resp: Tensor) -> bool:
        """Return whether keeping a block's sums saves time, and takes little memory."""
        numbers = resp.numel() + 4 * resp.shape[0] * resp[0, 0].numel() * block.x.shape[-1]
        return (
            block.x.is_cpu
            and block.x.dtype == torch.float32
            and self.points.in_memory
            and 4 * numbers <= block.x.numel()
        )

    def _bring_up_to_date(self, kept: _Kept, block: Block, resp: Tensor, rows: Tensor) -> None:
        """Update the kept sums for changed rows (G, M, r), which differ between mixtures."""
        G, n, M, K = resp.shape
        single = Columns(None, 1, K)
        sets = torch.arange(G).view(-1, 1, 1)
        mixtures = torch.arange(M).view(1, -1, 1)
        for some in rows.split(max(1, n // M), -1):
            x = block.x.flatten(0, 1).index_select(0, (some + sets * n).flatten())
            change = resp[sets, some, mixtures] - kept.resp[sets, some, mixtures]  # (G, M, r, K)
            part = Block(slice(0, G * M), 0, x.view(G * M, -1, x.shape[-1]), None)
            changes = self.kind.moments(part, change.flatten(0, 1).unsqueeze(2), resp, single)
            for total, new in zip(kept.moments, changes, strict=True):
                total += self.columns.pack(new.unflatten(0, (G, M)), -2)
            kept.resp[sets, some, mixtures] = resp[sets, some, mixtures]


def _moved(resp: Tensor, before: Tensor, counts: Tensor) -> Tensor | None:
    """Return the rows whose responsibilities have changed, or None if they are many.

    Args:
        resp: (G, n, M, K).
        before: The same at an earlier step.
        counts: Sum of resp over its rows, (G, M, K).

    Returns:
        (G, M, r): the r rows that changed most in every mixture, where r is the largest number of
            changed rows in any mixture.
    """
    n = resp.shape[1]
    still = (counts * (_STILL / n)).to(resp.dtype).unsqueeze(1)
    movement = ((resp - before).abs() / still.clamp_min(torch.finfo(resp.dtype).tiny)).amax(-1)
    n_rows = int((movement > 1).sum(1).max())
    if n_rows > n // _FEW:
        return None
    return movement.transpose(1, 2).topk(n_rows, sorted=False).indices
