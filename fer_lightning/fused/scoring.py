"""The scores of networks that were trained together, on all faces in one pass."""

from collections.abc import Sequence

from fer_lightning.data import SPLITS
from fer_lightning.fused.engine import FusedTraining, Means, Member
from fer_lightning.runs import Scores
from fer_lightning.training import Run


def score_together(runs: Sequence[Run], members: Sequence[Member]) -> None:
    """Set the scores of runs whose training is over: of their networks, and of the best ones.

    Args:
        runs: The runs.
        members: They as members of a training.
    """
    batch_size = runs[0].datamodule.batch_size
    finals = _scores(FusedTraining(members, batch_size), [run.epochs for run in runs])
    bests = dict(enumerate(finals))
    epochs = [run.checkpoints.best_epoch for run in runs]
    others = [m for m, run in enumerate(runs) if epochs[m] not in (None, run.epochs)]
    if others:
        training = FusedTraining([members[m] for m in others], batch_size)
        for i, m in enumerate(others):
            best, network = runs[m].checkpoints.best_weights, training.network
            for name, stack in zip(network.names, network.parameters, strict=True):
                stack[i].copy_(best[f"network.{name}"])
        found = _scores(training, [epochs[m] for m in others])
        bests |= dict(zip(others, found, strict=True))
    for m, run in enumerate(runs):
        run.scores = finals[m], Scores.none() if epochs[m] is None else bests[m]


def _scores(training: FusedTraining, epochs: Sequence[int | None]) -> list[Scores]:
    """Return the scores of all networks as they are, after these epochs."""
    means = [training.means_on(split) for split in SPLITS]
    return [Scores(epoch, *(_figures(each, m) for each in means)) for m, epoch in enumerate(epochs)]


def _figures(means: Means, m: int) -> dict[str, float | None]:
    """Return the means of network m, None for one that has diverged."""
    exists = bool(means.ce[m].isfinite())
    return {name: getattr(means, name)[m].item() if exists else None for name in ("ce", "acc")}
