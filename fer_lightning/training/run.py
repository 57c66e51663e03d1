"""A run before and after its training: its faces, network, Trainer, and what it leaves."""

import functools
import logging
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.distributed
from hydra.utils import get_class, instantiate
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from torch.optim import Optimizer

from fer_lightning.data import FaceDataModule
from fer_lightning.errors import InputError, SettingError
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
from fer_lightning.training.callbacks.checkpoints import Checkpoints, StopOnSignal
from fer_lightning.training.callbacks.epoch_log import EpochLog
from fer_lightning.training.callbacks.image_log import ImageLog
from fer_lightning.training.callbacks.progress import EpochProgress
from fer_lightning.training.classifier import ExpressionClassifier
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

    Attributes:
        stored: The checkpoint that the training goes on from, or None.

    Raises:
        InputError: A setting breaks its rule.
    """

    def __init__(self, config: DictConfig, folder: Path, overrides: list[str]) -> None:
        check_settings(config)
        _quieten_lightning()
        self.config, self.folder, self.overrides = config, folder, overrides
        self.stored: Stored | None = None
        _set_precision(config.get("float32_matmul_precision", "highest"))
        L.seed_everything(config.seed, verbose=False)
        self.datamodule = _datamodule(config)
        self.model = _model(config)
        self.epoch_log = EpochLog(folder)
        self.checkpoints = Checkpoints(folder / "checkpoints", config.checkpoint_every_seconds)
        self.image_log = ImageLog(lambda: self.epoch_log.board, config.image_every_n_epochs)
        callbacks: list[L.Callback] = [self.epoch_log]
        if leads():
            callbacks += [self.image_log, self.checkpoints]
        self.trainer = _trainer(config, folder, callbacks)

    def begin(self) -> None:
        """Read the faces, say what is trained on them, and open the run's row in TensorBoard.

        A run that goes on has that row already.

        Raises:
            InputError: The faces cannot be read.
        """
        _announce(self.model, self.datamodule, self.trainer, self.folder)
        if self.stored:
            where = "within epoch" if self.stored.is_within else "after epoch"
            epoch = self.stored.epoch + self.stored.is_within
            log.info("goes on %s %d of %d", where, epoch, self.config.trainer.max_epochs)
            return
        if self.config.resume is not None:
            log.info("begins anew: there is no checkpoint to go on from")
            begin_anew(self.folder)
        open_row(self.epoch_log.board, self.config, self.overrides)

    def finish(self, seconds: float) -> float:
        """Evaluate the network, write the summary, and return the best validation accuracy.

        Args:
            seconds: Seconds that the training took; of a resumed run, since it went on.
        """
        trainer = self.trainer
        final = scores_of(self.model, self.datamodule, trainer.current_epoch)
        summary = Summary(
            final=final,
            best=_best(final, self.checkpoints, self.model, self.datamodule),
            n_parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            epochs=trainer.current_epoch,
            seconds=round(self.epoch_log.seconds_before + seconds, 3),
            diverged=self.epoch_log.diverged_at is not None,
            diverged_epoch=self.epoch_log.diverged_at,
            seed=self.config.seed,
            overrides=self.overrides,
            settings=flat_settings(self.config),
            data=data_facts(self.datamodule.source, self.datamodule.splits),
            device=str(trainer.strategy.root_device),
            versions=versions(),
            commit=commit(),
        )
        close_row(self.epoch_log.board, summary)
        self.epoch_log.board.close()
        self.checkpoints.drop_the_one_before()  # a run with a summary is not looked at again
        summary.write(self.folder / "summary.json")
        log.info("%s", score_table(summary))
        if summary.diverged:
            told = "diverged: the training loss of epoch %s is not finite"
            log.warning(told, summary.diverged_epoch)
        return self.checkpoints.best_acc


def _set_precision(name: str) -> None:
    """Set how float32 products and convolutions are computed on a GPU."""
    torch.set_float32_matmul_precision(name)
    torch.backends.cudnn.allow_tf32 = name != "highest"


def fit(run: Run) -> None:
    run.trainer.callbacks += [EpochProgress()] if leads() else []  # type: ignore[attr-defined]
    run.trainer.callbacks += [StopOnSignal()]  # type: ignore[attr-defined]
    last = run.stored.path if run.stored else None
    try:
        with signals_wait():
            run.trainer.fit(run.model, datamodule=run.datamodule, ckpt_path=last, weights_only=True)
    except MisconfigurationException as error:
        raise InputError(f"trainer: {error}") from error


def _quieten_lightning() -> None:
    """Silence Lightning's advertisements, notes on devices, and a warning on its use of PyTorch."""
    warnings.filterwarnings("ignore", "GPU available but not used")  # who says cpu means it
    warnings.filterwarnings("ignore", "train_dataloader yielded None")  # of a run that goes on
    warnings.filterwarnings("ignore", ".*not resumable")  # it is, see data
    warnings.filterwarnings("ignore", ".*sync_dist")  # a metric synchronises itself
    warnings.filterwarnings("ignore", "You requested to overfit but")  # the order stays, see data
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # who asks is told
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)


def _datamodule(config: DictConfig) -> FaceDataModule:
    with section("data"):
        return FaceDataModule(
            instantiate(config.data.source, _convert_="all"),
            batch_size=config.data.batch_size,
            seed=config.seed,
            cache_dir=config.data.cache_dir,
            cv_folds=config.data.cv_folds,
            cv_fold=config.data.cv_fold,
        )


def _model(config: DictConfig) -> ExpressionClassifier:
    with section("model"):
        network = instantiate(config.model, _convert_="all")
    with section("optim"):
        optimizer = _or_partial(config.optim, Optimizer)
    model = ExpressionClassifier(network, optimizer, log_steps=False)
    model.settings = {
        name: value for name, value in _plain(config.model).items() if name != "_target_"
    }
    return model


def _or_partial(part: DictConfig, *of_pytorch: type) -> Any:
    """Return the object of a section; of a class of PyTorch, what makes one from what it is of."""
    made_later = issubclass(get_class(part._target_), of_pytorch)
    return instantiate(part, _convert_="all", _partial_=made_later or part.get("_partial_", False))


def _plain(part: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(part, resolve=True)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def _trainer(config: DictConfig, folder: Path, callbacks: list[L.Callback]) -> L.Trainer:
    make = instantiate(config.trainer, _convert_="all", _partial_=True)
    of_user = make.keywords.get("callbacks") or []
    callbacks = [*callbacks, *(of_user if isinstance(of_user, list) else [of_user])]
    logger = make.keywords.get("logger", False)
    if config.trainer.get("strategy") == "ddp":
        several = config.trainer.devices > 1
        make = functools.partial(make, strategy=LeaderWritesDDP() if several else "auto")
    try:
        with section("trainer"):
            return make(logger=logger, callbacks=callbacks, default_root_dir=folder)
    except (MisconfigurationException, ValueError, TypeError) as error:
        if "backend found" in str(error):  # of an accelerator
            rule = "be one that PyTorch finds on this machine, such as cpu"
            raise SettingError("trainer.accelerator", rule, config.trainer.accelerator) from error
        raise InputError(f"trainer: {error}") from error  # Lightning checks its own settings


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
    """Return the scores of the best network by validation accuracy."""
    if checkpoints.best_epoch is None:
        return Scores.none()
    if checkpoints.best_epoch == final.epoch:
        return final
    model.load_state_dict(torch.load(checkpoints.best_path, weights_only=True)["state_dict"])
    return scores_of(model, datamodule, checkpoints.best_epoch)


class LeaderWritesDDP(DDPStrategy):
    """DDP whose first process writes checkpoints without the others waiting for it.

    The processes exist already, and the environment variables tell which one this is, even inside
    a job of Slurm, which Lightning would else ask first.
    """

    def __init__(self) -> None:
        super().__init__(cluster_environment=LightningEnvironment())

    def barrier(self, name: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Wait for the other processes, except at a checkpoint that only the first one writes."""
        if name != "Trainer.save_checkpoint":
            super().barrier(name, *args, **kwargs)


def leave_group() -> None:
    """Leave the process group, if there is one, so that another run can form its own."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
