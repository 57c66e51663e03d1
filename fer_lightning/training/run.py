"""A run before and after its training: its faces, its network, and what it leaves."""

import logging
import random
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from omegaconf import DictConfig

from fer_lightning.data import ResidentFaces
from fer_lightning.processes import leads
from fer_lightning.runs import (
    Scores,
    Stored,
    Summary,
    begin_anew,
    close_row,
    commit,
    data_facts,
    flat_settings,
    open_row,
    score_table,
    section,
    versions,
)
from fer_lightning.training.assembly import device_of, faces_of, loggers, model_of, plain
from fer_lightning.training.callbacks.checkpoints import Checkpoints
from fer_lightning.training.callbacks.epoch_log import EpochLog
from fer_lightning.training.callbacks.image_log import ImageLog
from fer_lightning.training.callbacks.stops import Judge, Stops
from fer_lightning.training.callbacks.watcher import Watcher
from fer_lightning.training.expression_network import ExpressionNetwork
from fer_lightning.training.loggers import Loggers
from fer_lightning.training.rules import check_settings
from fer_lightning.training.scoring import scores_of

ALL_THREADS = torch.get_num_threads()

log = logging.getLogger(__name__)


class Run:
    """A run before and after its training: its faces, its network, and what it leaves behind.

    Args:
        config: The composed configuration of `conf/train.yaml`.
        folder: Where the run writes.
        overrides: What the user changed, for the summary.
        judge: Who may stop the run after an epoch.

    Attributes:
        scores: Of the last network and of the best, where these are known before `finish`.
        stored: The checkpoint that the training goes on from, or None.
        device: Where it is trained.
        watchers: What of it writes files while it is trained.
        epochs: Number of epochs that are over, once it is trained.

    Raises:
        InputError: A setting breaks its rule.
    """

    def __init__(
        self,
        config: DictConfig,
        folder: Path,
        overrides: list[str],
        judge: Judge | None = None,
    ) -> None:
        check_settings(config)
        self.config, self.folder, self.overrides = config, folder, overrides
        self.stored: Stored | None = None
        self.scores: tuple[Scores, Scores] | None = None
        _set_precision(config.get("float32_matmul_precision", "highest"))
        self.device = device_of(config.trainer.get("accelerator", "auto"))
        _seed(config.seed)
        self.datamodule = faces_of(config, ResidentFaces)
        self.model = model_of(config)
        self.epochs = 0
        self.writes = not config.trainer.get("fast_dev_run")
        self.loggers = Loggers(loggers(config, folder) if self.writes else [])
        self.epoch_log = EpochLog(folder, self.loggers.flush)
        best_by = plain(config.checkpoint) if "checkpoint" in config else {}  # not in older runs
        self.checkpoints = Checkpoints(
            folder / "checkpoints", config.checkpoint_every_seconds, **best_by
        )
        pause = plain(config.pause) if "pause" in config else {}  # not in older runs
        # the pictures of a first rung would take longer than its few epochs
        often = 0 if pause.get("rung") is not None else config.image_every_n_epochs
        self.image_log = ImageLog(self.loggers.boards, often)
        self.stops = Stops(**pause, judge=judge)
        own: list[Watcher] = [self.epoch_log, self.stops]
        if leads():
            own += [self.image_log, self.checkpoints]
        self.watchers = own if self.writes else []

    def begin(self) -> None:
        """Read the faces, say what is trained on them, and open the run's row in TensorBoard.

        A run that goes on has that row already.

        Raises:
            InputError: The faces cannot be read.
        """
        _announce(self.model, self.datamodule, self.device, self.folder)
        if not self.writes:
            return
        self._begin()
        self.loggers.open(self._settings, goes_on=self.stored is not None)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return flat_settings(self.config)

    def _begin(self) -> None:
        if self.stored:
            where = "within epoch" if self.stored.is_within else "after epoch"
            epoch = self.stored.epoch + self.stored.is_within
            log.info("goes on %s %d of %d", where, epoch, self.config.trainer.max_epochs)
            return
        if self.config.resume is not None:
            log.info("begins anew: there is no checkpoint to go on from")
            begin_anew(self.folder)
        for board in self.loggers.boards:
            open_row(board.events, plain(self.config), self._settings, self.overrides)

    def finish(self, seconds: float) -> float:
        """Evaluate the network, write the summary, and return the best one's validation accuracy.

        Args:
            seconds: Seconds that the training took; of a resumed run, since it went on.
        """
        if not self.writes:
            log.info("all of a training went through once; nothing was written")
            return 0.0
        final, best = self.scores or self._scores()
        summary = Summary(
            final=final,
            best=best,
            n_parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            epochs=self.epochs,
            seconds=round(self.epoch_log.seconds_before + seconds, 3),
            diverged=self.epoch_log.diverged_at is not None,
            diverged_epoch=self.epoch_log.diverged_at,
            stopped=self.stops.stopped,
            seed=self.config.seed,
            overrides=self.overrides,
            settings=self._settings,
            data=data_facts(
                self.datamodule.source, self.datamodule.splits, self.datamodule.left_out
            ),
            device=str(self.device),
            versions=versions(),
            commit=commit(),
        )
        for board in self.loggers.boards:
            close_row(board.events, summary)
        self.loggers.close(summary)
        self.checkpoints.drop_the_one_before()  # a run with a summary is not looked at again
        summary.write(self.folder / "summary.json")
        log.info("%s", score_table(summary))
        if summary.diverged:
            told = "diverged: the training loss of epoch %s is not finite"
            log.warning(told, summary.diverged_epoch)
        if summary.stopped:
            log.info("stopped %s; resume=%s goes on to the end", summary.stopped, self.folder)
        return summary.best.val["acc"] or 0.0

    def _scores(self) -> tuple[Scores, Scores]:
        """Return the scores of the last network, and of the best by the monitored metric."""
        final = scores_of(self.model, self.datamodule, self.epochs)
        epoch = self.checkpoints.best_epoch
        if epoch is None:
            return final, Scores.none()
        if epoch == final.epoch:
            return final, final
        self.model.load_state_dict(self.checkpoints.best_weights)
        return final, scores_of(self.model, self.datamodule, epoch)


def _seed(seed: int) -> None:
    """Seed all generators of random numbers, as Lightning does it."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _set_precision(name: str) -> None:
    """Set how float32 products and convolutions are computed on a GPU."""
    torch.set_float32_matmul_precision(name)
    torch.backends.cudnn.allow_tf32 = name != "highest"


def _announce(
    model: ExpressionNetwork, datamodule: ResidentFaces, device: torch.device, folder: Path
) -> None:
    with section("data"):
        sizes = datamodule.splits.sizes()
    log.info(
        "%s with %s parameters on %s; %s: %s; %s",
        type(model.network).__name__,
        f"{sum(p.numel() for p in model.parameters()):,}",
        device,
        datamodule.source.name,
        ", ".join(f"{n:,} {split}" for split, n in sizes.items()),
        folder,
    )


def leave_group() -> None:
    """Leave the process group, if there is one, so that another run can form its own."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
