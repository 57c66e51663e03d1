"""Show the faces of a data set, or audit them.

`python -m fer_lightning.data --help` and `python -m fer_lightning.data audit --help` show what can
be set.
"""

import logging
import sys
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.faces import FaceSplits
from fer_lightning.data.loading_rules import require_loading_of
from fer_lightning.data.splitting import SPLITS
from fer_lightning.errors import require, require_integer
from fer_lightning.plots import as_text, plain_table
from fer_lightning.runs import section
from fer_lightning.shell import command

log = logging.getLogger(__name__)


def show_faces(config: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Print how many faces of each class the splits have, and draw a contact sheet."""
    require(config.split in SPLITS, "split", f"be one of {', '.join(SPLITS)}", config.split)
    require_integer("per_class", config.per_class, 1, 100)
    from fer_lightning.data.loading import loaded_by  # PyTorch takes a second to import
    from fer_lightning.plots import contact_sheet

    with section("data"):
        require_loading_of(config.data)
        source = instantiate(config.data.source, _convert_="all")
        splits = loaded_by(source, config.data).splits
    log.info("%s, fingerprint %s\n%s", source.name, splits.fingerprint(), count_table(splits))
    sheet = folder / f"{config.split}.png"
    contact_sheet(getattr(splits, config.split), config.per_class).save(sheet)
    log.info("%s", sheet)


def count_table(splits: FaceSplits) -> str:
    """Return a table of the number of faces by class and split."""
    counts = [faces.class_counts() for _, faces in splits]
    table = plain_table("", *SPLITS, "all")
    for name, row in zip(CLASSES, zip(*counts, strict=True), strict=True):
        table.add_row(name, *map(str, row), str(sum(row)))
    totals = [sum(column) for column in counts]
    table.add_row("all", *map(str, totals), str(sum(totals)))
    return as_text(table)


def audit_faces(config: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Look for faces that are shown twice, empty pictures and doubtful labels."""
    from fer_lightning.audit import audit  # Lightning takes seconds to import

    audit(config, folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["audit"]:
        del sys.argv[1]
        command("audit", audit_faces)
    else:
        command("faces", show_faces)
