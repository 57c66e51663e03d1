"""Classes that settings and checkpoints name: this project's, and those of the user."""

import importlib
import inspect
import sys
from typing import Any

# The classes that any stored settings can name. Others must be of the kind that is wanted.
STORED_CLASSES = {
    "lightning.Trainer",
    "fer_lightning.networks.MLP",
    "fer_lightning.networks.CNN",
    "fer_lightning.networks.ResNet",
    "fer_lightning.networks.VGG",
    "fer_lightning.training.SGD",
    "fer_lightning.training.AdamW",
    "fer_lightning.training.Muon",
    "fer_lightning.training.Cosine",
    "fer_lightning.training.OneCycle",
    "fer_lightning.training.Step",
    "fer_lightning.training.Plateau",
    "fer_lightning.training.TensorBoard",
    "fer_lightning.training.CrossEntropy",
    "fer_lightning.training.Augment",
    "fer_lightning.data.Synthetic",
    "fer_lightning.data.Tfd",
    "fer_lightning.data.Fer2013",
    "fer_lightning.data.ClassFolders",
    "gmm.faces.settings.MixtureSettings",
    "torch.nn.CrossEntropyLoss",
}
# Under which names runs of version 0.1 stored some of them.
FORMER_NAMES = {
    "fer_lightning.optimizers.SGD": "fer_lightning.training.SGD",
    "fer_lightning.optimizers.AdamW": "fer_lightning.training.AdamW",
    "fer_lightning.data.synthetic.Synthetic": "fer_lightning.data.Synthetic",
    "fer_lightning.data.tfd.Tfd": "fer_lightning.data.Tfd",
    "fer_lightning.data.fer2013.Fer2013": "fer_lightning.data.Fer2013",
    "fer_lightning.data.folder.ClassFolders": "fer_lightning.data.ClassFolders",
    "gmm.settings.MixtureSettings": "gmm.faces.settings.MixtureSettings",
}
# What a class must be a subclass of, by the setting that names it.
KINDS = {
    "model": ("torch.nn.Module",),
    "loss": ("torch.nn.Module",),
    "optim": ("torch.optim.Optimizer",),
    "schedule": ("torch.optim.lr_scheduler.LRScheduler",),
    "callbacks": ("lightning.Callback",),
    "logger": ("lightning.pytorch.loggers.Logger",),
    "trainer": (
        "lightning.Callback",
        "lightning.pytorch.loggers.Logger",
        "lightning.pytorch.profilers.Profiler",
        "lightning.pytorch.strategies.Strategy",
        "lightning.pytorch.plugins.Precision",
    ),
}


def is_allowed(key: str, name: object) -> bool:
    """Return whether stored settings may name this class under this key.

    A class that is none of this project's is imported to find that out, as `python` would find it.

    Args:
        key: Such as `model._target_`.
        name: Such as `mynet.Net`.
    """
    if not isinstance(name, str):
        return False
    if name in STORED_CLASSES:
        return True
    kinds = KINDS.get(key.split(".")[0], ())
    try:
        return bool(kinds) and bool(named_class(name, *kinds))
    except ValueError:
        return False


def named_class(name: str, *kinds: str) -> type[Any]:
    """Return the class of this name.

    Args:
        name: Such as `mynet.Net`; of the standard library there is none.
        kinds: Names of classes, of one of which it must be a subclass.

    Raises:
        ValueError: There is no such class.
    """
    module, _, within = name.rpartition(".")
    if not module or module.split(".")[0] in sys.stdlib_module_names:
        raise ValueError(f"no class {name!r}")
    try:
        found = getattr(importlib.import_module(module), within)
    except Exception as error:  # whatever happens in there
        raise ValueError(f"no class {name!r}") from error
    bases = tuple(_at(kind) for kind in kinds)
    if not inspect.isclass(found) or not issubclass(found, bases):
        raise ValueError(f"{name!r} is not of the kind that is wanted")
    return found


def _at(name: str) -> type[Any]:
    module, _, within = name.rpartition(".")
    found: type[Any] = getattr(importlib.import_module(module), within)
    return found
