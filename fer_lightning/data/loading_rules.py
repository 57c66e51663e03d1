"""The rules of the settings in `conf/loading.yaml`; without PyTorch."""

from collections.abc import Mapping
from typing import Any

from fer_lightning.data.findings import DROPPED, require_findings
from fer_lightning.data.splitting import require_contrast, require_fold
from fer_lightning.errors import require, require_integer


def require_loading(
    batch_size: int,
    cv_folds: int | None,
    cv_fold: int | None,
    balanced: bool,
    contrast: str | None,
) -> None:
    """Raise a `SettingError` if one of these settings of `FaceDataModule` breaks its rule."""
    require_integer("batch_size", batch_size, 1)
    require(isinstance(balanced, bool), "balanced", "be true or false", balanced)
    require_contrast(contrast)
    require_fold(cv_folds, cv_fold)


def require_loading_of(settings: Mapping[Any, Any]) -> None:
    """Raise a `SettingError` if one of the settings breaks its rule; older runs lack some."""
    newer = settings.get("balanced", False), settings.get("contrast")
    require_loading(settings["batch_size"], settings["cv_folds"], settings["cv_fold"], *newer)
    drop, findings = settings.get("drop"), settings.get("drop_findings", DROPPED)
    require_findings(findings)
    chosen = drop is not None or set(findings) == set(DROPPED)
    require(chosen, "drop", "be given where drop_findings are", drop)
