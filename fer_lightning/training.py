"""One run: train a network, evaluate it, and leave everything in one folder."""

import logging
import time
import warnings
from pathlib import Path

import lightning as L
import torch
from hydra.utils import instantiate
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from fer_lightning.checkpoints import Checkpoints
from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.data.datamodule import FaceDataModule
from fer_lightning.epoch_log import EpochLog
from fer_lightning.errors import InputError, require, require_integer
from fer_lightning.hparams import close_row, open_row
from fer_lightning.image_log import ImageLog
from fer_lightning.progress import EpochProgress
from fer_lightning.provenance import commit, data_facts, versions
from fer_lightning.settings import flat_settings, section
from fer_lightning.summary import Scores, Summary, score_table

ALL_THREADS = torch.get_num_threads()

log = logging.getLogger(__name__)


def train(config: DictConfig, folder: Path, overrides: list[str]) -> float:
    """Train as a configuration says.

    Args:
        config: The composed configuration of `conf/train.yaml`.
        folder: Where the run writes.
        overrides: What the user changed, for the summary.

    Returns:
        The best validation accuracy, in [0, 1]; 0 if the run diverged before it had one.

    Raises:
        InputError: A setting breaks its rule, or the faces cannot be read.
    """
    require_integer("seed", config.seed, 0, 2**32 - 1)
    require_integer("trainer.max_epochs", config.trainer.max_epochs, 1)
    require(config.trainer.devices == 1, "trainer.devices", "be 1", config.trainer.devices)
    if config.threads is not None:
        require_integer("threads", config.threads, 1)
    if config.image_every_n_epochs is not None:
        require_integer("image_every_n_epochs", config.image_every_n_epochs, 0)
    torch.set_num_threads(config.threads or ALL_THREADS)
    _quieten_lightning()
    L.seed_everything(config.seed, verbose=False)
    datamodule = _datamodule(config)
    model = _model(config)
    epoch_log = EpochLog(folder)
    checkpoints = Checkpoints(folder / "checkpoints")
    image_log = ImageLog(lambda: epoch_log.board, config.image_every_n_epochs)
    trainer = _trainer(config, folder, [epoch_log, checkpoints, image_log, EpochProgress()])
    _announce(model, datamodule, trainer, folder)
    open_row(epoch_log.board, config, overrides)

    started = time.perf_counter()
    try:
        trainer.fit(model, datamodule=datamodule)
    except MisconfigurationException as error:
        raise InputError(f"trainer: {error}") from error
    seconds = time.perf_counter() - started

    final = Scores.of(model, datamodule, trainer.current_epoch)
    best = _best(final, checkpoints, model, datamodule)
    summary = Summary(
        final=final,
        best=best,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        epochs=trainer.current_epoch,
        seconds=round(seconds, 3),
        diverged=epoch_log.diverged_at is not None,
        diverged_epoch=epoch_log.diverged_at,
        seed=config.seed,
        overrides=overrides,
        settings=flat_settings(config),
        data=data_facts(datamodule.source, datamodule.splits),
        device=str(trainer.strategy.root_device),
        versions=versions(),
        commit=commit(),
    )
    close_row(epoch_log.board, summary)
    epoch_log.board.close()
    summary.write(folder / "summary.json")
    log.info("%s", score_table(summary))
    if summary.diverged:
        log.warning("diverged: the training loss of epoch %s is not finite", summary.diverged_epoch)
    return checkpoints.best_acc


def _quieten_lightning() -> None:
    """Leave out its advertisements, its notes on devices, and a warning of how it uses PyTorch."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)


def _datamodule(config: DictConfig) -> FaceDataModule:
    with section("data"):
        return FaceDataModule(
            instantiate(config.data.source, _convert_="all"),
            batch_size=config.data.batch_size,
            seed=config.seed,
            cache_dir=config.data.cache_dir,
            minibatches_per_step=config.data.minibatches_per_step,
            cv_folds=config.data.cv_folds,
            cv_fold=config.data.cv_fold,
        )


def _model(config: DictConfig) -> ExpressionClassifier:
    with section("optim"):
        optimizer = instantiate(config.optim, _convert_="all")
    with section("model"):
        return instantiate(config.model, _convert_="all", _partial_=True)(optimizer=optimizer)


def _trainer(config: DictConfig, folder: Path, callbacks: list[L.Callback]) -> L.Trainer:
    make = instantiate(config.trainer, _convert_="all", _partial_=True)
    try:
        with section("trainer"):
            return make(logger=False, callbacks=callbacks, default_root_dir=folder)
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise InputError(f"trainer: {error}") from error  # Lightning checks its own settings


def _announce(
    model: ExpressionClassifier, datamodule: FaceDataModule, trainer: L.Trainer, folder: Path
) -> None:
    with section("data"):
        sizes = datamodule.splits.sizes()
    log.info(
        "%s with %s parameters on %s; %s: %s; %s",
        type(model).__name__,
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
    """Scores of the best network by validation accuracy."""
    if checkpoints.best_epoch is None:
        return Scores.none()
    if checkpoints.best_epoch == final.epoch:
        return final
    model.load_state_dict(torch.load(checkpoints.best_path, weights_only=True)["state_dict"])
    return Scores.of(model, datamodule, checkpoints.best_epoch)
