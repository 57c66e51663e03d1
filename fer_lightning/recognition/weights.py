"""A network in one small file that cannot run code (safetensors): the shipped one, or a run's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fer_lightning.data import CLASSES
from fer_lightning.errors import InputError
from fer_lightning.files import whole_file
from fer_lightning.recognition.face_network import FaceNetwork
from fer_lightning.runs import network_name, restored_network

SHIPPED = Path(__file__).with_name("fer2013.safetensors")
SUFFIX = ".safetensors"
KEY = "fer_lightning"  # under which the header of a file has what is not a weight


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network that is ready to be used.

    Attributes:
        network: From uint8 faces to probabilities, in evaluation mode.
        image_size: Side of the faces that it was trained on, in pixels.
        calibrated: Whether its temperature was fitted.
        name: What the user calls it.
    """

    network: FaceNetwork
    image_size: int
    calibrated: bool
    name: str


def load(model: str | Path | None = None, which: str = "best") -> Loaded:
    """Return a network.

    Args:
        model: A run's folder, a checkpoint file, a file that `export` wrote (.safetensors), or None
            for the shipped weights.
        which: `best` or `last`: which network of a run.

    Raises:
        InputError: There is none, or it cannot be made here.
    """
    path = SHIPPED if model is None else Path(model).expanduser()
    if path.suffix == SUFFIX:
        return _of_weights(path, "the shipped weights" if model is None else str(model))
    from fer_lightning.recognition.run_network import of_run  # which the shipped weights don't need

    network, image_size, calibrated = of_run(str(model), which)
    return Loaded(network, image_size, calibrated, str(model))


def _of_weights(path: Path, name: str) -> Loaded:
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})[KEY])
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return _loaded(told, weights, name)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        AttributeError,
    ) as error:
        rule = "must hold a network that fer_lightning.export wrote and that can be made here"
        raise InputError(f"{path}: the file {rule} ({error})") from error


def _loaded(told: Mapping[str, Any], weights: Mapping[str, Any], name: str) -> Loaded:
    if tuple(told["classes"]) != CLASSES:
        raise ValueError(f"its classes are {told['classes']}")
    stored = {"network": told["network"], "hyper_parameters": told["settings"]}
    network = restored_network({**stored, "state_dict": weights})
    whole = FaceNetwork(network, **told["evaluated"]).eval()
    return Loaded(whole, int(told["image_size"]), bool(told["calibrated"]), name)


def save(path: Path, loaded: Loaded, origin: Mapping[str, Any]) -> None:
    """Write a network to a file that `load` reads.

    Args:
        path: The file; its suffix is .safetensors.
        loaded: The network.
        origin: How it was made, for readers of the file.
    """
    inner = loaded.network.network
    told = {
        "network": network_name(type(inner)),
        "settings": getattr(inner, "settings", {}),
        "classes": CLASSES,
        "image_size": loaded.image_size,
        "evaluated": dict(loaded.network.as_evaluated()),
        "calibrated": loaded.calibrated,
        "origin": dict(origin),
    }
    weights = {name: w.detach().contiguous() for name, w in inner.state_dict().items()}
    with whole_file(path) as part:
        save_file(weights, part, metadata={KEY: json.dumps(told)})
