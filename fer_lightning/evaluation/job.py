"""The evaluation of stored networks: read them and their faces, measure, write and say."""

import logging
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fer_lightning.data import SPLITS, twins_in_training
from fer_lightning.errors import InputError, SettingError, one_line, require
from fer_lightning.evaluation.comparison import (
    Compared,
    comparison_text,
    paired_tests,
    write_comparison,
)
from fer_lightning.evaluation.measuring import measure
from fer_lightning.evaluation.output import evaluation_text, write_evaluation
from fer_lightning.evaluation.saliency import require_captum
from fer_lightning.evaluation.stored_runs import (
    DataSet,
    chosen_faces,
    load_network,
    run_faces,
)
from fer_lightning.files import new_folder, read_json, write_json
from fer_lightning.runs import StoredNetwork, find_networks, run_summary
from fer_lightning.training import TTA, Predictions

CHECKPOINTS = ("best", "last")
# Counts how often the faces of each split have been read, as who looks often, chooses by them.
READS = Path("evaluation", "reads.json")

log = logging.getLogger(__name__)


def evaluate(config: DictConfig) -> None:
    """Evaluate the networks that a configuration names, and compare them if they are several.

    Args:
        config: The composed configuration of `conf/evaluate.yaml`.

    Raises:
        InputError: A setting breaks its rule, or a network or its faces cannot be read.
    """
    require(len(config.runs) > 0, "runs", "be given: runs' folders or checkpoint files", [])
    require(config.split in SPLITS, "split", f"be one of {', '.join(SPLITS)}", config.split)
    known = config.checkpoint in CHECKPOINTS
    require(known, "checkpoint", f"be one of {', '.join(CHECKPOINTS)}", config.checkpoint)
    _fraction("threshold", config.threshold)
    views = (None, "none", *TTA[1:])
    require(config.tta in views, "tta", f"be one of {', '.join(map(str, views[1:]))}", config.tta)
    require(isinstance(config.explain, bool), "explain", "be true or false", config.explain)
    if config.explain:
        require_captum()
    networks = [n for name in config.runs for n in find_networks(str(name), config.checkpoint)]
    require(len(networks) > 0, "runs", f"have a {config.checkpoint}.ckpt", list(config.runs))
    chosen = chosen_faces(config)
    if len(networks) == 1:
        (network,) = networks
        data = chosen or _own_faces(network)
        folder = _folder(network, data, config) or _output(config)
        facts, _ = _evaluate_one(network, data, config, folder)
        print(evaluation_text(network.name, facts), folder, sep="\n")
    else:
        _evaluate_all(networks, chosen, config)


def _evaluate_all(
    networks: list[StoredNetwork], chosen: DataSet | None, config: DictConfig
) -> None:
    """Evaluate all networks that can be evaluated, and compare them."""
    compared = []
    for i, (network, label) in enumerate(zip(networks, _labels(networks), strict=True), 1):
        try:
            data = chosen or _own_faces(network)
            folder = _folder(network, data, config) or _output(config) / label.replace(os.sep, "_")
            facts, predictions = _evaluate_one(network, data, config, folder)
        except InputError as error:
            log.error("%s", one_line(error))
            continue
        compared.append(Compared.of(label, facts, predictions))
        log.info("%d of %d: %s", i, len(networks), folder)
    if len(compared) > 1:
        pairs = paired_tests(compared)
        write_comparison(_output(config), compared, pairs)
        print(comparison_text(compared, pairs), _output(config), sep="\n")
    n_failed = len(networks) - len(compared)
    if n_failed:
        raise InputError(f"{n_failed} of {len(networks)} networks could not be evaluated")


def _fraction(name: str, value: object) -> float:
    """Return a setting as a number between 0 and 1, both excluded; it may be written as 2/7."""
    try:
        number = float(Fraction(str(value)))
    except (ValueError, ZeroDivisionError):
        number = 0.0
    require(0 < number < 1, name, "be a number above 0 and below 1, such as 0.3 or 2/7", value)
    return number


def _own_faces(network: StoredNetwork) -> DataSet:
    """Return the faces that the network's run used, and warn if they have changed since."""
    if network.folder is None:
        rule = "be given for a checkpoint outside of its run's folder"
        raise SettingError("data", rule, None)
    data = run_faces(network.folder)
    if _fingerprint(network) not in (data.fingerprint, None):
        log.warning("%s: the faces are no longer those that the run was made with", network.name)
    return data


def _fingerprint(network: StoredNetwork) -> str | None:
    """Return the fingerprint of the faces of the network's run, or None if it is not known."""
    summary = run_summary(network.folder) if network.folder else {}
    facts = summary.get("data")
    return facts.get("fingerprint") if isinstance(facts, dict) else None


def _folder(network: StoredNetwork, data: DataSet, config: DictConfig) -> Path | None:
    """Return the folder of an evaluation inside the network's run, or None without a run."""
    if network.folder is None:
        return None
    own = config.get("data") is None or data.fingerprint == _fingerprint(network)
    name = config.split if own else f"{data.name}_{config.split}"
    if config.tta is not None:
        name += f"_tta_{config.tta}"
    return network.folder / "evaluation" / name


def _output(config: DictConfig) -> Path:
    """Return the new folder for comparisons, which the first call makes."""
    return Path(new_folder(str(Path(config.output).expanduser())))


def _labels(networks: list[StoredNetwork]) -> list[str]:
    """Return labels of the networks: their paths without the part that all share."""
    paths = [str(Path(network.name).absolute()) for network in networks]
    shared = os.path.commonpath(paths)
    if shared in paths:
        return [network.name for network in networks]
    return [os.path.relpath(path, shared) for path in paths]


def _evaluate_one(
    network: StoredNetwork, data: DataSet, config: DictConfig, folder: Path
) -> tuple[dict[str, Any], Predictions]:
    """Measure a network and write the results.

    Returns:
        The content of evaluation.json, and the predictions from which it was computed.
    """
    model, epoch = load_network(network.checkpoint)
    size, of_faces = model.settings.get("image_size"), data.splits.test.images.shape[-1]
    if size not in (None, of_faces):
        rule = f"be that of {network.name}, {size}"
        raise SettingError("data.image_size", rule, of_faces)
    if config.tta is not None:
        model.tta = None if config.tta == "none" else config.tta
    twinned = None
    if config.twins is not None:
        twinned = twins_in_training(data.faces, config.twins, config.split, "twins")
    threshold = _fraction("threshold", config.threshold)
    found = measure(model, data, config.split, threshold, twinned)
    reads = _reads(network)
    facts: dict[str, Any] = {
        "run": network.folder.resolve().name if network.folder else None,
        "checkpoint": network.checkpoint.name,
        "epoch": epoch,
        "split": config.split,
        "data": {
            "name": data.name,
            "n": sum(data.splits.sizes().values()),
            "fingerprint": data.fingerprint,
        },
        "n": len(found.predictions.faces),
        "tta": model.tta,
        "smooth": model.smooth,
        "read": reads.get(config.split, 0) + 1,
        **found.figures(),
    }
    try:
        write_evaluation(folder, found, model, facts, config.explain)
        if network.folder:
            write_json(network.folder / READS, {**reads, config.split: facts["read"]})
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error
    return facts, found.predictions


def _reads(network: StoredNetwork) -> dict[str, int]:
    """Return how often evaluations of the network's run have read the faces of each split."""
    if network.folder is None:
        return {}
    try:
        known = read_json(network.folder / READS)
    except InputError:  # none yet, or damaged
        return {}
    return {split: n for split, n in known.items() if type(n) is int}
