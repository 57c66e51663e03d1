"""The rules of the settings in `conf/loading.yaml`; without PyTorch."""

from collections.abc import Mapping
from typing import Any

from fer_lightning.data.findings import DROPPED, require_findings
from fer_lightning.data.splitting import require_loading
from fer_lightning.errors import require


def require_loading_of(settings: Mapping[Any, Any]) -> None:
    """Raise a `SettingError` if one of the settings breaks its rule; older runs lack some."""
    newer = settings.get("balanced", False), settings.get("contrast")
    require_loading(settings["batch_size"], settings["cv_folds"], settings["cv_fold"], *newer)
    drop, findings = settings.get("drop"), settings.get("drop_findings", DROPPED)
    require_findings(findings)
    chosen = drop is not None or set(findings) == set(DROPPED)
    require(chosen, "drop", "be given where drop_findings are", drop)
