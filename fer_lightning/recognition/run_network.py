"""The network of a run, as evaluations of the run have calibrated it."""

from collections.abc import Mapping
from typing import Any

from fer_lightning.data import SIZE
from fer_lightning.errors import InputError
from fer_lightning.files import read_json
from fer_lightning.recognition.face_network import FaceNetwork
from fer_lightning.runs import (
    StoredNetwork,
    find_network,
    read_checkpoint,
    restored_network,
    run_settings,
)
from fer_lightning.training import as_evaluated

# Evaluations on the run's own faces, on whose `val` a temperature is fitted.
OWN = ("train", "val", "test")


def of_run(name: str, which: str) -> tuple[FaceNetwork, int, bool]:
    """Return the network of a run, the size of its faces, and whether a temperature was fitted.

    Args:
        name: The run's folder, or a checkpoint file.
        which: `best` or `last`: which network of a folder.

    Raises:
        InputError: There is none, or it cannot be made here.
    """
    stored = find_network(name, which)
    content = read_checkpoint(stored.checkpoint)
    evaluated = as_evaluated(content)
    temperature = _temperature(stored, evaluated.get("tta"))
    try:
        network = restored_network(content)
        whole = FaceNetwork(network, temperature=temperature or 1.0, **evaluated).eval()
    except (TypeError, KeyError, RuntimeError, ValueError, AttributeError) as error:
        rule = "must hold a network that can be made here"
        raise InputError(f"{stored.checkpoint}: the checkpoint {rule}") from error
    if not all(weights.isfinite().all() for weights in network.parameters()):
        raise InputError(f"{stored.checkpoint}: this network has diverged")
    return whole, _image_size(stored, content), temperature is not None


def _image_size(stored: StoredNetwork, content: Mapping[str, Any]) -> int:
    own = content["hyper_parameters"].get("image_size")
    settings = run_settings(stored.folder) if stored.folder and own is None else {}
    size = own or settings.get("data.image_size") or SIZE
    return size if isinstance(size, int) else SIZE


def _temperature(stored: StoredNetwork, tta: str | None) -> float | None:
    """Return the temperature that an evaluation of the run has fitted, on `val`, or None."""
    if stored.folder is None:
        return None
    for path in sorted(stored.folder.glob("evaluation/*/evaluation.json")):
        try:
            facts = read_json(path)
        except InputError:
            continue
        of_this = facts.get("checkpoint") == stored.checkpoint.name and facts.get("tta") == tta
        found = facts.get("temperature")
        if of_this and path.parent.name in OWN and isinstance(found, float) and found > 0:
            return found
    return None
