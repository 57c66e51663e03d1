"""Checkpoints read as tensors and plain values, whoever wrote them."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fer_lightning.errors import InputError

DAMAGE = (
    *(OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError),
    *(AttributeError, AssertionError, MemoryError, RecursionError, zipfile.BadZipFile),
)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    It takes no more memory than the file has bytes, and nothing in it can run code.

    Raises:
        InputError: It cannot be read, is damaged, or holds more than tensors and plain values.
    """
    try:
        _require_unpacked(path)
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose message tells how to load it all the same
        reason = "it holds more than numbers and plain values, which could run code"
        raise InputError(f"{path}: not a checkpoint, or a damaged one ({reason})") from error
    except DAMAGE as error:
        reason = str(error).splitlines()[0][:100] if str(error) else "it ends too early"
        raise InputError(f"{path}: not a checkpoint, or a damaged one ({reason})") from error
    if not isinstance(stored, dict):
        raise InputError(f"{path}: not a checkpoint of one of this project's networks")
    return stored


def _require_unpacked(path: Path) -> None:
    """Raise a `ValueError` unless it is an archive whose members lie there as they are.

    PyTorch never compresses them; a file that does would expand when it is loaded.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    size = sum(member.file_size for member in members)
    if any(m.compress_type != zipfile.ZIP_STORED for m in members) or size > path.stat().st_size:
        raise ValueError("its members are compressed")


def restored(make: type[nn.Module], stored: Mapping[str, Any], **settings: Any) -> Any:
    """The network in a checkpoint, in evaluation mode.

    Its size is compared with the weights before it takes memory: a few bytes can ask for any size.

    Args:
        make: Class of the network.
        stored: Content of the checkpoint.
        settings: Arguments of the class besides those in the checkpoint.

    Raises:
        ValueError, TypeError, KeyError, RuntimeError: It holds another network, or none.
    """
    arguments, weights = stored["hyper_parameters"], stored["state_dict"]
    _require_plain(arguments, len(weights))
    with torch.device("meta"):
        expected = make(**arguments, **settings).state_dict()
    if {name: w.shape for name, w in expected.items()} != {n: w.shape for n, w in weights.items()}:
        raise ValueError("weights of another network")
    if not all(_is_whole(w) for w in weights.values()):
        raise ValueError("weights without numbers of their own")
    model = make(**arguments, **settings)
    model.to(next(iter(weights.values())).dtype).load_state_dict(weights)
    return model.eval()


def _require_plain(arguments: object, n_weights: int) -> None:
    """Raise a `ValueError` unless they are short: names with integers or lists of them."""
    values = list(arguments.values()) if isinstance(arguments, dict) else [None]
    for value in values:
        numbers = value if isinstance(value, list) else [value]
        if len(numbers) > n_weights or any(type(number) is not int for number in numbers):
            raise ValueError("settings of another network")


def _is_whole(weights: object) -> bool:
    """Whether it is a tensor that has a place in memory for each of its numbers."""
    if not isinstance(weights, Tensor) or weights.layout != torch.strided:
        return False
    in_memory = weights.device.type == "cpu" and weights.is_floating_point()
    return in_memory and weights.nbytes <= weights.untyped_storage().nbytes()
