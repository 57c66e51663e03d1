"""One run from its settings to its summary, trained by Lightning or by the fused loop."""

import functools
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from fer_lightning.errors import require
from fer_lightning.fused.gradients import is_written_out
from fer_lightning.fused.grouping import obstacle
from fer_lightning.fused.native.epochs import FACES_ALONE, NativeCNNs
from fer_lightning.fused.together import train_together
from fer_lightning.machine import first_import
from fer_lightning.networks import CNN, MLP
from fer_lightning.processes import joined_by_others, leads, place_of_run, require_processes
from fer_lightning.runs import Stored, finished_run, flat_settings, goes_on_from
from fer_lightning.training import ALL_THREADS, SGD, Judge, Run, import_torchmetrics, leave_group

log = logging.getLogger(__name__)


def train(
    config: DictConfig,
    folder: Path,
    overrides: list[str],
    judge: Judge | None = None,
    is_command: bool = False,
) -> float:
    """Train a network as a configuration says.

    Args:
        config: The composed configuration of `conf/train.yaml`.
        folder: Where the run writes.
        overrides: What the user changed, for the summary.
        judge: Who may stop the run after an epoch.
        is_command: Whether nothing else goes on in this process: see `import_torchmetrics`.

    Returns:
        The best validation accuracy, in [0, 1]; 0 if the run diverged before it had one.

    Raises:
        InputError: A setting breaks its rule, or the faces cannot be read.
    """
    place = place_of_run(folder, config.resume)
    pause = OmegaConf.select(config, "pause.epoch")  # older runs do not have it
    done = finished_run(place, pause) if config.resume is not None else None
    if done:
        return float(done["best"]["val"]["acc"] or 0.0)
    require_processes(config.trainer)
    stored = goes_on_from(place) if config.resume is not None else None
    plain = OmegaConf.to_container(config, resolve=True)
    try:
        with (
            tempfile.TemporaryDirectory() as nowhere,
            joined_by_others(config.trainer.devices, _follow, plain, Path(nowhere), place),
        ):
            return _train(config, folder, overrides, stored, judge, is_command)
    finally:
        leave_group()  # once the others have ended, who would take it for a fault


def _follow(plain: dict[str, Any], nowhere: Path, place: Path) -> None:
    """Train as one of the processes that do not lead; what it writes is thrown away."""
    config = OmegaConf.create(plain)
    try:
        _train(config, nowhere, [], goes_on_from(place) if config.resume is not None else None)
    finally:
        leave_group()


def _train(
    config: DictConfig,
    folder: Path,
    overrides: list[str],
    stored: Stored | None,
    judge: Judge | None = None,
    is_command: bool = False,
) -> float:
    run = Run(config, folder, overrides, judge)
    run.stored = stored
    torch.set_num_threads(config.threads or max(1, ALL_THREADS // config.trainer.devices))
    engine, reason = engine_and_reason(run)
    trained: Callable[[], object] = functools.partial(train_together, [run])
    if engine == "lightning":
        with first_import("lightning"):  # which takes seconds
            if is_command:
                import_torchmetrics(config)
            from fer_lightning.training import Fit

        trained = Fit(run)
    if not leads():
        trained()
        return 0.0
    run.begin()
    started = time.perf_counter()
    log.info("engine: %s (%s)", engine, reason)
    try:
        trained()
    except BaseException:
        run.loggers.close(None)
        raise
    return run.finish(time.perf_counter() - started)


def chosen_engine(run: Run) -> str:
    """Return the engine that trains a run: `lightning` or `fused`.

    Raises:
        InputError: The fused loop is asked for, and cannot do what the settings want.
    """
    return engine_and_reason(run)[0]


def engine_and_reason(run: Run) -> tuple[str, str]:
    """Return the engine that trains a run, and why it does.

    Raises:
        InputError: The fused loop is asked for, and cannot do what the settings want.
    """
    config = run.config
    if config.engine == "lightning":
        return "lightning", "asked for"
    reason = obstacle(flat_settings(config))
    if config.engine == "fused":
        require(reason is None, "engine", f"be lightning, as {reason}", config.engine)
        return "fused", "asked for"
    if reason is not None:
        return "lightning", reason
    if run.device.type == "cuda":
        return "fused", "steps are launched as CUDA graphs"
    network, batch_size = run.model.network, run.datamodule.batch_size
    if isinstance(network, CNN) and isinstance(run.model.optimizer, SGD):
        if NativeCNNs.pay_alone(network, batch_size, torch.get_num_threads()):
            return "fused", "a compiled loop on one core is faster"
        return "lightning", "all cores are faster than a compiled loop on one"
    if not (isinstance(network, MLP) and is_written_out(network.layers)):
        return "lightning", "the fused loop would hardly be faster"
    if batch_size > FACES_ALONE:
        return "lightning", f"minibatches have more than {FACES_ALONE} faces"
    return "fused", f"minibatches have {FACES_ALONE} faces at most"
