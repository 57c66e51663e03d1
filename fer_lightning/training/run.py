"""A run before and after its training: its faces, network, Trainer, and what it leaves."""

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.distributed
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from fer_lightning.data import FaceDataModule
from fer_lightning.errors import InputError, one_line
from fer_lightning.processes import (
    leads,
    signals_wait,
)
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
from fer_lightning.training.assembly import (
    datamodule_of,
    loggers,
    model_of,
    plain,
    trainer_of,
)
from fer_lightning.training.callbacks.checkpoints import Checkpoints, StopOnSignal
from fer_lightning.training.callbacks.epoch_log import EpochLog
from fer_lightning.training.callbacks.image_log import ImageLog
from fer_lightning.training.callbacks.progress import EpochProgress
from fer_lightning.training.callbacks.stops import Judge, Stops
from fer_lightning.training.classifier import ExpressionClassifier
from fer_lightning.training.lean import make_lean
from fer_lightning.training.loggers import Loggers
from fer_lightning.training.predictions import scores_of
from fer_lightning.training.rules import check_settings

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
        stored: The checkpoint that the training goes on from, or None.

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
        _quieten_lightning()
        self.config, self.folder, self.overrides = config, folder, overrides
        self.stored: Stored | None = None
        _set_precision(config.get("float32_matmul_precision", "highest"))
        L.seed_everything(config.seed, verbose=False)
        self.datamodule = datamodule_of(config)
        self.model = model_of(config)
        self.writes = not config.trainer.get("fast_dev_run")
        self.loggers = Loggers(loggers(config, folder) if self.writes else [])
        self.epoch_log = EpochLog(folder, self.loggers.flush)
        best_by = plain(config.checkpoint) if "checkpoint" in config else {}  # not in older runs
        self.checkpoints = Checkpoints(
            folder / "checkpoints", config.checkpoint_every_seconds, **best_by
        )
        self.image_log = ImageLog(self.loggers.boards, config.image_every_n_epochs)
        pause = plain(config.pause) if "pause" in config else {}  # not in older runs
        self.stops = Stops(**pause, judge=judge)
        own: list[L.Callback] = [self.epoch_log, self.stops]
        if leads():
            own += [self.image_log, self.checkpoints]
        self.trainer = trainer_of(config, folder, own if self.writes else [], self.loggers)

    def begin(self) -> None:
        """Read the faces, say what is trained on them, and open the run's row in TensorBoard.

        A run that goes on has that row already.

        Raises:
            InputError: The faces cannot be read.
        """
        _announce(self.model, self.datamodule, self.trainer, self.folder)
        if not self.writes:
            return
        settings = flat_settings(self.config)
        self._begin(settings)
        self.loggers.open(settings, goes_on=self.stored is not None)

    def _begin(self, settings: dict[str, Any]) -> None:
        if self.stored:
            where = "within epoch" if self.stored.is_within else "after epoch"
            epoch = self.stored.epoch + self.stored.is_within
            log.info("goes on %s %d of %d", where, epoch, self.config.trainer.max_epochs)
            return
        if self.config.resume is not None:
            log.info("begins anew: there is no checkpoint to go on from")
            begin_anew(self.folder)
        for board in self.loggers.boards:
            open_row(board.events, plain(self.config), settings, self.overrides)

    def finish(self, seconds: float) -> float:
        """Evaluate the network, write the summary, and return the best one's validation accuracy.

        Args:
            seconds: Seconds that the training took; of a resumed run, since it went on.
        """
        trainer = self.trainer
        if not self.writes:
            log.info("all of a training went through once; nothing was written")
            return 0.0
        final = scores_of(self.model, self.datamodule, trainer.current_epoch)
        summary = Summary(
            final=final,
            best=_best(final, self.checkpoints, self.model, self.datamodule),
            n_parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            epochs=trainer.current_epoch,
            seconds=round(self.epoch_log.seconds_before + seconds, 3),
            diverged=self.epoch_log.diverged_at is not None,
            diverged_epoch=self.epoch_log.diverged_at,
            stopped=self.stops.stopped,
            seed=self.config.seed,
            overrides=self.overrides,
            settings=flat_settings(self.config),
            data=data_facts(
                self.datamodule.source, self.datamodule.splits, self.datamodule.left_out
            ),
            device=str(trainer.strategy.root_device),
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


def _set_precision(name: str) -> None:
    """Set how float32 products and convolutions are computed on a GPU."""
    torch.set_float32_matmul_precision(name)
    torch.backends.cudnn.allow_tf32 = name != "highest"


def fit(run: Run) -> None:
    """Train the network of a run by Lightning's Trainer.

    Raises:
        InputError: Lightning cannot do what the settings want.
    """
    callbacks: list[L.Callback] = run.trainer.callbacks  # type: ignore[attr-defined]
    shown = run.config.trainer.enable_progress_bar and run.writes
    if leads() and shown and not any(isinstance(each, ProgressBar) for each in callbacks):
        callbacks.append(EpochProgress())
    callbacks.append(StopOnSignal())
    make_lean(run.trainer, run.model)
    if run.config.compile is True:
        run.model.network.compile()
    last = run.stored.path if run.stored else None
    try:
        with signals_wait():
            run.trainer.fit(run.model, datamodule=run.datamodule, ckpt_path=last, weights_only=True)
    except MisconfigurationException as error:
        raise InputError(f"trainer: {one_line(error)}") from error


def _quieten_lightning() -> None:
    """Silence Lightning's advertisements, notes on devices, and a warning on its use of PyTorch."""
    warnings.filterwarnings("ignore", "GPU available but not used")  # who says cpu means it
    warnings.filterwarnings("ignore", "train_dataloader yielded None")  # of a run that goes on
    warnings.filterwarnings("ignore", ".*not resumable")  # it is, see data
    warnings.filterwarnings("ignore", ".*sync_dist")  # a metric synchronises itself
    warnings.filterwarnings("ignore", "You requested to overfit but")  # the order stays, see data
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("lightning.pytorch.profilers", "lightning.pytorch.callbacks"):
        logging.getLogger(name).setLevel(logging.INFO)  # who asks is told
    warnings.filterwarnings("ignore", ".*is smaller than the logging interval")
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)


def _announce(
    model: ExpressionClassifier, datamodule: FaceDataModule, trainer: L.Trainer, folder: Path
) -> None:
    with section("data"):
        sizes = datamodule.splits.sizes()
    log.info(
        "%s with %s parameters on %s; %s: %s; %s",
        type(model.network).__name__,
        f"{sum(p.numel() for p in model.parameters()):,}",
        trainer.strategy.root_device,
        datamodule.source.name,
        ", ".join(f"{n:,} {split}" for split, n in sizes.items()),
        folder,
    )


def _best(
    final: Scores,
    checkpoints: Checkpoints,
    model: ExpressionClassifier,
    datamodule: FaceDataModule,
) -> Scores:
    """Return the scores of the best network by the metric that is monitored."""
    if checkpoints.best_epoch is None:
        return Scores.none()
    if checkpoints.best_epoch == final.epoch:
        return final
    model.load_state_dict(torch.load(checkpoints.best_path, weights_only=True)["state_dict"])
    return scores_of(model, datamodule, checkpoints.best_epoch)


def leave_group() -> None:
    """Leave the process group, if there is one, so that another run can form its own."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
