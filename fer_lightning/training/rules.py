"""The rules of the settings of a run, checked before PyTorch and Lightning are imported."""

from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from fer_lightning.data import SIZE, require_image_size, require_loading_of
from fer_lightning.errors import SettingError, require, require_integer, require_number
from fer_lightning.networks import SHAPES
from fer_lightning.processes import require_processes
from fer_lightning.runs import section
from fer_lightning.training.augmenting.views import require_tta


def check_settings(config: DictConfig) -> None:
    """Raise an `InputError` if a setting breaks a rule that is known without Lightning.

    Args:
        config: The composed configuration of `conf/train.yaml`.
    """
    _check_run(config)
    with section("data"):
        require_loading_of(config.data)
        of_faces = config.data.get("image_size", SIZE)  # older runs do not have it
        require_image_size(of_faces)
    with section("model"):
        _check_shape(OmegaConf.to_container(config.model, resolve=True))
        size = config.model.get("image_size")
        require(size in (None, of_faces), "image_size", f"be data.image_size, {of_faces}", size)
    parts = {
        "optim": config.optim,
        "data": config.data.source,
        "schedule": config.get("schedule"),  # older runs do not have it, nor the next
        "augment": config.get("augment"),
    }
    for name, part in parts.items():
        if part and "_target_" not in part:
            rule = "be an option that has such settings"
            raise SettingError(name, rule, OmegaConf.to_container(part))
    for name, part in parts.items():
        if part and str(part._target_).startswith("fer_lightning."):
            with section(name):
                instantiate(part, _convert_="all")


def _check_run(config: DictConfig) -> None:
    require_integer("seed", config.seed, 0, 2**32 - 1)
    require_integer("trainer.max_epochs", config.trainer.max_epochs, 1)
    require_number("checkpoint_every_seconds", config.checkpoint_every_seconds, 0)
    require_processes(config.trainer)
    if config.threads is not None:
        require_integer("threads", config.threads, 1)
    engines, choices = ("auto", "lightning", "fused"), ("auto", True, False)
    require(config.engine in engines, "engine", f"be one of {', '.join(engines)}", config.engine)
    require(config.compile in choices, "compile", "be auto, true or false", config.compile)
    precision = config.get("float32_matmul_precision", "highest")  # older runs do not have it
    precisions = ("highest", "high", "medium")
    rule = f"be one of {', '.join(precisions)}"
    require(precision in precisions, "float32_matmul_precision", rule, precision)
    require_tta(config.get("tta"))  # older runs do not have it
    pause = config.get("pause") or {}
    for name in ("epoch", "rung"):
        if pause.get(name) is not None:
            require_integer(f"pause.{name}", pause[name], 1)
    best = config.get("checkpoint")
    if best:
        modes = ("max", "min")
        require(best.mode in modes, "checkpoint.mode", "be max or min", best.mode)
        require_integer("checkpoint.save_top_k", best.save_top_k, 1)
    if config.image_every_n_epochs is not None:
        require_integer("image_every_n_epochs", config.image_every_n_epochs, 0)


def _check_shape(model: Any) -> None:
    rule = SHAPES.get(model.pop("_target_"))
    if rule:
        rule(**model)
