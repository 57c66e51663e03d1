"""torchmetrics, which Lightning imports, without what nobody here has a use for."""

import re
import sys
from importlib.metadata import PackageNotFoundError, version

from omegaconf import DictConfig, OmegaConf

UNUSED = ("scipy", "matplotlib")
# Whose classes do not ask torchmetrics for plots, nor for metrics of sound.
KNOWN = ("fer_lightning.", "lightning.", "torch.")


def import_torchmetrics(config: DictConfig) -> None:
    """Import torchmetrics as if SciPy and matplotlib were not installed.

    It imports both at its beginning, which takes a second, for plots of its own and for a few
    metrics. Where a class of the user's is named in the settings, which might want these, nothing
    is done; nor where torchmetrics is imported already. It is for a process that runs a command
    alone, as plots of torchmetrics stay out of reach in it. Others import SciPy and matplotlib as
    ever.

    Args:
        config: The settings.
    """
    named = re.findall(r"_target_: (\S+)", OmegaConf.to_yaml(config))
    if "torchmetrics" in sys.modules or not all(name.startswith(KNOWN) for name in named):
        return
    from lightning_utilities.core import imports  # by which torchmetrics asks what is there

    def found(name: str) -> str:
        if name in hidden:
            raise PackageNotFoundError(name)
        return version(name)

    if getattr(imports, "_version", None) is not version:  # it asks in another way
        return
    hidden = [name for name in UNUSED if name not in sys.modules]
    vars(imports)["_version"] = found
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # Python finds none of them
    try:
        import torchmetrics  # noqa: F401
    finally:
        vars(imports)["_version"] = version
        for name in hidden:
            del sys.modules[name]
        imports.package_available.cache_clear()
        imports.module_available.cache_clear()
