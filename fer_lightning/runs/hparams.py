"""A run as TensorBoard's HParams tab shows it: a row with its settings and its figures.

TensorBoard finds the columns, and whether they are numeric, from the rows that it shows. The
summary of an experiment, which would name them, is not written: of several it takes any one for all
runs, and keys that only others have would be missing.
"""

import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import yaml
from tensorboard.compat.proto.summary_pb2 import Summary as Event
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from torch.utils.tensorboard.summary import text

from fer_lightning.runs.event_file import EventFile
from fer_lightning.runs.overrides import override_values
from fer_lightning.runs.summary import Summary, status_of

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # some builds have the slow one alone
# They decide where and how fast a run goes rather than what comes of it, or are seldom changed.
PLUMBING = (
    "trainer",
    "threads",
    "engine",
    "compile",
    "float32_matmul_precision",
    "image_every_n_epochs",
    "callbacks",
    "logger",
    "loss",
    "checkpoint",
    "checkpoint_every_seconds",
    "data.path",
    "data.codes",
    "data.cache_dir",
    "data.seed",
    "data.val_fraction",
    "data.test_fraction",
    "data.votes",
    "data.balanced",
    "data.drop_findings",
    "model.image_size",
)


def open_row(
    events: EventFile, config: dict[str, Any], settings: Mapping[str, Any], overrides: Sequence[str]
) -> None:
    """Write the settings of a new run: its row, and the whole configuration as text.

    Args:
        events: Where.
        config: The configuration.
        settings: The same as `flat_settings` returns it.
        overrides: What the user changed.
    """
    # TensorBoard shows Markdown, where only an indented block takes every text for what it is
    told = yaml.dump(config, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    told = textwrap.indent(told, "    ")
    events.add(text("config", told))
    # without a name for its group, a run has a row of its own even if another has its settings
    events.add(hparams_pb(row_settings(dict(settings), overrides), trial_id=""))


def close_row(events: EventFile, summary: Summary) -> None:
    """Write the results of a run that has ended, and how it ended, if that was early.

    Results of the last epoch are in the curves already; numbers that do not exist are left out.
    They stand last among the tags.
    """
    figures = {f"test_{name}": value for name, value in summary.final.test.items()}
    _add_scalars(events, figures, summary.final.epoch)
    best: dict[str, float | None] = {"best_epoch": summary.best.epoch}
    for split in ("train", "val"):
        best |= {f"best_{split}_{name}": v for name, v in getattr(summary.best, split).items()}
    _add_scalars(events, best, summary.best.epoch)
    if summary.stopped:
        events.add(text("ending", status_of(asdict(summary))))
    events.add(_session_end(summary.diverged))


def row_settings(settings: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings that get a column: those that affect the result, and all that were given.

    Numbers stay numbers, lists become text, and None has no cell.
    """
    always = {*override_values(overrides), "trainer.max_epochs"}
    return {
        key: str(value) if isinstance(value, list) else value
        for key, value in settings.items()
        if value is not None and (key in always or not key.startswith(PLUMBING))
    }


def _add_scalars(events: EventFile, figures: Mapping[str, float | None], epoch: int | None) -> None:
    known = {f"summary/{name}": value for name, value in figures.items() if value is not None}
    events.add_scalars(known, epoch or 0)


def _session_end(diverged: bool) -> Event:
    status = api_pb2.STATUS_FAILURE if diverged else api_pb2.STATUS_SUCCESS
    info = SessionEndInfo(status=status, end_time_secs=time.time())
    content = metadata.create_summary_metadata(HParamsPluginData(session_end_info=info))
    event = Event()
    event.value.add(
        tag=metadata.SESSION_END_INFO_TAG, metadata=content, tensor=metadata.NULL_TENSOR
    )
    return event
