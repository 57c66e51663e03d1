"""Every argument of Lightning's Trainer acts, or is refused in one line that says why."""

import inspect

import lightning as L
import pytest
import torch

from fer_lightning.errors import InputError
from fer_lightning.training.by_lightning.fitting import Fit
from fer_lightning.training.run import Run

pytestmark = pytest.mark.filterwarnings("ignore")


def loop_of(name):
    return lambda trainer: getattr(trainer.fit_loop, name)


# What is typed, and what the Trainer then has.
ACTS = {
    "accelerator": ("cpu", lambda t: type(t.accelerator).__name__, "CPUAccelerator"),
    "strategy": ("auto", lambda t: type(t.strategy).__name__, "SingleDeviceStrategy"),
    "devices": ("1", lambda t: t.num_devices, 1),
    "num_nodes": ("1", lambda t: t.num_nodes, 1),
    "precision": ("bf16-mixed", lambda t: t.precision, "bf16-mixed"),
    "logger": (
        "{_target_:lightning.pytorch.loggers.CSVLogger,save_dir:x}",
        lambda t: [type(each).__name__ for each in t.loggers],
        ["TensorBoard", "CSVLogger"],
    ),
    "callbacks": (
        "{_target_:lightning.pytorch.callbacks.Timer,duration:'01:00:00:00'}",
        lambda t: type(t.callbacks[0]).__name__,
        "Timer",
    ),
    "fast_dev_run": ("2", lambda t: t.fast_dev_run, 2),
    "max_epochs": ("7", loop_of("max_epochs"), 7),
    "min_epochs": ("3", loop_of("min_epochs"), 3),
    "max_steps": ("9", lambda t: t.max_steps, 9),
    "min_steps": ("2", lambda t: t.min_steps, 2),
    "max_time": ("'00:01:00:00'", lambda t: type(t.callbacks[0]).__name__, "Timer"),
    "limit_train_batches": ("2", lambda t: t.limit_train_batches, 2),
    "limit_val_batches": ("2", lambda t: t.limit_val_batches, 2),
    "limit_test_batches": ("2", lambda t: t.limit_test_batches, 2),
    "limit_predict_batches": ("2", lambda t: t.limit_predict_batches, 2),
    "overfit_batches": ("2", lambda t: t.overfit_batches, 2),
    "val_check_interval": ("0.5", lambda t: t.val_check_interval, 0.5),
    "check_val_every_n_epoch": ("2", lambda t: t.check_val_every_n_epoch, 2),
    "num_sanity_val_steps": ("1", lambda t: t.num_sanity_val_steps, 1),
    "log_every_n_steps": ("5", lambda t: t.log_every_n_steps, 5),
    "enable_progress_bar": ("false", lambda t: t.progress_bar_callback, None),
    "enable_model_summary": (
        "true",
        lambda t: any("Summary" in type(c).__name__ for c in t.callbacks),
        True,
    ),
    "accumulate_grad_batches": ("3", lambda t: t.accumulate_grad_batches, 3),
    "gradient_clip_val": ("0.5", lambda t: t.gradient_clip_val, 0.5),
    "gradient_clip_algorithm": ("value", lambda t: t.gradient_clip_algorithm, "value"),
    "deterministic": (
        "warn",
        lambda t: torch.is_deterministic_algorithms_warn_only_enabled(),
        True,
    ),
    "benchmark": ("true", lambda t: torch.backends.cudnn.benchmark, True),
    "inference_mode": (
        "false",
        lambda t: t.validate_loop.inference_mode,
        False,
    ),
    "use_distributed_sampler": (
        "false",
        lambda t: t._accelerator_connector.use_distributed_sampler,
        False,
    ),
    "profiler": ("simple", lambda t: type(t.profiler).__name__, "SimpleProfiler"),
    "detect_anomaly": ("true", lambda t: t._detect_anomaly, True),
    "plugins": (
        "{_target_:lightning.pytorch.plugins.DoublePrecision}",
        lambda t: t.precision,
        "64-true",
    ),
    "sync_batchnorm": (
        "true",
        lambda t: type(t._accelerator_connector._layer_sync).__name__,
        "TorchSyncBatchNorm",
    ),
    "reload_dataloaders_every_n_epochs": (
        "2",
        lambda t: t.reload_dataloaders_every_n_epochs,
        2,
    ),
    "enable_autolog_hparams": ("false", lambda t: t.enable_autolog_hparams, False),
}
REFUSED = {
    "default_root_dir": ("x", "hydra.run.dir"),
    "barebones": ("true", "engine=fused"),
    "model_registry": ("x", "checkpoints"),
    "enable_checkpointing": ("false", "trainer=debug"),
}


@pytest.fixture(autouse=True)
def flags_of_pytorch():
    """Set back what the Trainer sets for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False


@pytest.fixture
def made(composed, csv_path, tmp_path):
    def make(argument, value):
        given = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
        given += ["trainer.accelerator=cpu"] if argument != "accelerator" else []
        return Fit(Run(composed("train", *given, f"++trainer.{argument}={value}"), tmp_path, []))

    return make


def test_all_arguments_are_known():
    known = set(inspect.signature(L.Trainer.__init__).parameters) - {"self"}
    assert known == ACTS.keys() | REFUSED.keys()


@pytest.mark.parametrize("argument", ACTS)
def test_an_argument_acts(made, argument):
    value, read, expected = ACTS[argument]
    assert read(made(argument, value).trainer) == expected


@pytest.mark.parametrize("argument", REFUSED)
def test_an_argument_is_refused_in_one_line(made, argument):
    value, instead = REFUSED[argument]
    with pytest.raises(InputError, match=rf"^trainer\.{argument} must be .*{instead}"):
        made(argument, value)
