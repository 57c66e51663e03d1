"""An audit: read the faces, look at them, write and say what was found."""

import logging
from datetime import datetime
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from fer_lightning.audit.confident_learning import Contradictions, contradicted
from fer_lightning.audit.found import Found, found_text
from fer_lightning.audit.out_of_fold import HOW, out_of_fold
from fer_lightning.audit.page import page
from fer_lightning.data import AUDIT_COLUMNS, Faces, FaceSplits, loaded, require_loading_of
from fer_lightning.errors import InputError, require, require_path
from fer_lightning.files import whole_file, write_table
from fer_lightning.runs import section

log = logging.getLogger(__name__)


def audit(config: DictConfig, folder: Path) -> Found:
    """Find what is wrong with the faces of a configuration; write audit.csv and audit.html.

    Args:
        config: The composed configuration of `conf/audit.yaml`.
        folder: Where they are written.

    Raises:
        InputError: The faces or the runs cannot be read, or do not belong together.
    """
    with section("data"):
        require_loading_of(config.data)
        for name in ("drop", "cv_folds", "cv_fold"):
            rule = "be null for an audit, which looks at all faces"
            require(config.data.get(name) is None, name, rule, config.data.get(name))
        source = instantiate(config.data.source, _convert_="all")
        whole = loaded(source, config.data.cache_dir).whole
    labels = _contradictions(config, whole)
    found = Found.of(whole, labels)
    log.info("%s, fingerprint %s\n%s", source.name, found.fingerprint, found_text(found))
    if labels is None:
        log.info("runs= adds labels that networks contradict: python train.py -m ... %s", HOW)
    table, html = folder / "audit.csv", folder / "audit.html"
    try:
        write_table(table, AUDIT_COLUMNS, found.rows())
        with whole_file(html) as part:
            part.write_text(page(found, source.name, datetime.now()), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error
    log.info("%s\n%s", table, html)
    return found


def _contradictions(config: DictConfig, whole: FaceSplits) -> Contradictions | None:
    """Return the labels that the networks of `runs` contradict, or None without runs."""
    if config.runs is None:
        return None
    runs = list(config.runs) if isinstance(config.runs, ListConfig) else [config.runs]
    for run in runs or [runs]:
        require_path("runs", run, "folders of runs or of a sweep")
    proba = out_of_fold(runs, whole)
    return contradicted(proba, Faces.joined(whole.train, whole.val).labels)
