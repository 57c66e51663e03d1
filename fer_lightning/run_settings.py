"""The settings of a run, checked before Lightning is imported, which takes seconds."""

from collections.abc import Callable
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from fer_lightning.data.loading import require_loading
from fer_lightning.errors import require, require_integer, require_number
from fer_lightning.processes import require_processes
from fer_lightning.settings import section
from fer_lightning.shapes import require_cnn, require_mlp

SHAPES: dict[str, Callable[..., None]] = {
    "fer_lightning.networks.MLP": require_mlp,
    "fer_lightning.networks.CNN": require_cnn,
}


def check_settings(config: DictConfig) -> None:
    """Raise an `InputError` if a setting breaks a rule that is known without Lightning.

    Args:
        config: The composed configuration of `conf/train.yaml`.
    """
    _check_run(config)
    with section("model"):
        _check_shape(OmegaConf.to_container(config.model, resolve=True))
    with section("data"):
        data = config.data
        require_loading(data.batch_size, data.minibatches_per_step, data.cv_folds, data.cv_fold)
    for name, part in (("optim", config.optim), ("data", config.data.source)):
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
    if config.image_every_n_epochs is not None:
        require_integer("image_every_n_epochs", config.image_every_n_epochs, 0)


def _check_shape(model: Any) -> None:
    rule = SHAPES.get(model.pop("_target_"))
    if rule:
        rule(**model)
