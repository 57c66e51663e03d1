"""The checkpoints in the folder of a run: read without trusting them, and gone on from."""

import io
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fer_lightning.data import CLASSES
from fer_lightning.errors import InputError
from fer_lightning.files import GrowingFiles, whole_generations
from fer_lightning.networks import CNN, MLP, VGG, ResNet
from fer_lightning.processes import leads
from fer_lightning.runs.classes import named_class
from fer_lightning.runs.event_file import PATTERN

DAMAGE = (
    *(OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError),
    *(AttributeError, AssertionError, MemoryError, RecursionError, zipfile.BadZipFile),
)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, on the CPU.

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


def write_checkpoint(content: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint."""
    written = io.BytesIO()  # PyTorch does not say why it cannot write to a file
    torch.save(content, written)
    path.write_bytes(written.getbuffer())


def _require_unpacked(path: Path) -> None:
    """Raise a `ValueError` if a member of a checkpoint, which is a zip archive, is compressed.

    PyTorch never compresses them; a file that does would expand when it is loaded.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    size = sum(member.file_size for member in members)
    if any(m.compress_type != zipfile.ZIP_STORED for m in members) or size > path.stat().st_size:
        raise ValueError("its members are compressed")


NETWORKS: dict[str, type[nn.Module]] = {
    network.__name__: network for network in (MLP, CNN, ResNet, VGG)
}
OF_NETWORK = "network."  # what the names of its weights begin with in a checkpoint


def network_name(network: type[nn.Module]) -> str:
    """Return the name of a class of networks in checkpoints: of this project's, the short one."""
    name = network.__name__
    return name if NETWORKS.get(name) is network else f"{network.__module__}.{name}"


def restored_network(stored: Mapping[str, Any]) -> nn.Module:
    """Return the network in a checkpoint, in evaluation mode.

    Its size is compared with the weights before it takes memory: a few bytes can ask for any size.

    Args:
        stored: Content of the checkpoint.

    Raises:
        ValueError, TypeError, KeyError, RuntimeError: It holds no network that can be made here.
    """
    name, arguments = stored["network"], stored["hyper_parameters"]
    weights = _of_network(stored["state_dict"])
    _require_plain(arguments, len(weights))
    make = NETWORKS.get(name) or named_class(name, "torch.nn.Module")
    with torch.device("meta"):
        expected = make(**arguments).state_dict()
    if {n: w.shape for n, w in expected.items()} != {n: w.shape for n, w in weights.items()}:
        raise ValueError("weights of another network")
    if not all(map(_is_whole, weights.values())):
        raise ValueError("weights without numbers of their own")
    network = make(**arguments)
    floats = [w.dtype for w in weights.values() if w.is_floating_point()]
    network.to(floats[0]).load_state_dict(weights)
    return network.eval()


def _of_network(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights of the network alone, under its own names; a loss may have some, too."""
    own = {n.removeprefix(OF_NETWORK): w for n, w in weights.items() if n.startswith(OF_NETWORK)}
    return own or dict(weights)  # of version 0.1, where there was nothing else


def as_now(checkpoint: dict[str, Any]) -> None:
    """Change a checkpoint of version 0.1, from which a run goes on, into what this version saves.

    There a network was its own LightningModule, and took its optimiser steps itself, 32 of them in
    a step of Lightning.
    """
    weights = checkpoint["state_dict"]
    if any(name.startswith(OF_NETWORK) for name in weights):
        return
    checkpoint["state_dict"] = {f"{OF_NETWORK}{name}": w for name, w in weights.items()}
    loop = checkpoint["loops"]["fit_loop"]
    steps = loop["epoch_loop.manual_optimization.optim_step_progress"]
    progress = loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
    done = checkpoint.get("epoch_so_far", {}).get("minibatches", 0)
    n_steps = steps["total"]["completed"]
    for part in ("total", "current"):
        progress["step"][part] |= dict.fromkeys(("ready", "completed"), n_steps)
        progress["zero_grad"][part] |= dict.fromkeys(("ready", "started", "completed"), n_steps)
    loop["epoch_loop.state_dict"]["_batches_that_stepped"] = n_steps - done
    for part in ("total", "current"):
        counts = loop["epoch_loop.batch_progress"][part]
        counts.update(dict.fromkeys(counts, n_steps - done))


def _require_plain(arguments: object, n_weights: int) -> None:
    """Raise a `ValueError` unless all arguments are plain values or short lists of them."""
    values = list(arguments.values()) if isinstance(arguments, dict) else [[None]]
    for value in values:
        each = value if isinstance(value, list) else [value]
        if len(each) > max(n_weights, 8) or not all(type(one) in PLAIN for one in each):
            raise ValueError("settings of another network")


PLAIN = (int, float, bool, str, type(None))


def _is_whole(weights: object) -> bool:
    """Return whether this is a dense tensor on the CPU that stores each of its numbers."""
    if not isinstance(weights, Tensor) or weights.layout != torch.strided:
        return False
    return weights.device.type == "cpu" and weights.nbytes <= weights.untyped_storage().nbytes()


LAST = "last.ckpt"


@dataclass(frozen=True)
class Stored:
    """A checkpoint that is complete and undamaged.

    Attributes:
        path: The file.
        content: What Lightning's Trainer saved.
    """

    path: Path
    content: dict[str, Any]

    @property
    def is_within(self) -> bool:
        """Return whether the checkpoint was saved within an epoch, rather than at its end."""
        return "epoch_so_far" in self.content

    @property
    def epoch(self) -> int:
        """Return the number of completed epochs."""
        return int(self.content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])

    def of_callback(self, name: str) -> dict[str, Any]:
        """Return the state of one of the run's callbacks."""
        state: dict[str, Any] = self.content["callbacks"][name]
        return state


def whole_checkpoints(folder: Path) -> list[Stored]:
    """Return the checkpoints in a folder that a run can resume from, the newest first.

    A damaged one is named in a warning and left out.
    """
    return whole_generations(folder / LAST, _of_training)


def _of_training(path: Path, content: Any) -> Stored:
    stored = Stored(path, content)
    begun = stored.epoch > 0 or stored.is_within
    if not begun or not {"state_dict", "optimizer_states"} <= content.keys():
        raise ValueError("it is of no training")
    if stored.is_within and not _is_part_of_an_epoch(**content["epoch_so_far"]):
        raise ValueError("it is of no part of an epoch")
    return stored


def _is_part_of_an_epoch(minibatches: Any, logits: Any, labels: Any) -> bool:
    """Return whether these are a number of minibatches, logits (n, 7) and labels.

    The labels are (n,) classes, or their probabilities, (n, 7).
    """
    if type(minibatches) is not int or minibatches < 1:
        return False
    if not (isinstance(logits, Tensor) and isinstance(labels, Tensor)):
        return False
    are_classes = labels.dtype == torch.int64 and labels.ndim == 1
    if not (are_classes or (labels.is_floating_point() and labels.shape == logits.shape)):
        return False
    return logits.shape == (len(labels), len(CLASSES))


def goes_on_from(folder: Path) -> Stored | None:
    """Return the newest undamaged checkpoint of a run, from which it resumes, or None.

    The process that leads removes half-written and damaged files; the others only read.
    """
    if leads():
        sweep_up(folder)
        return newest_checkpoint(folder / "checkpoints")
    found = whole_checkpoints(folder / "checkpoints")
    return Stored(found[0].path.with_name(LAST), found[0].content) if found else None


def newest_checkpoint(folder: Path) -> Stored | None:
    """Return the newest undamaged checkpoint in a folder, or None.

    It takes the place of a newer one that is damaged.
    """
    found = whole_checkpoints(folder)
    return in_place(found[0]) if found else None


def in_place(stored: Stored) -> Stored:
    """Rename a checkpoint to `last.ckpt`, from which its run resumes, and return it."""
    last = stored.path.with_name(LAST)
    stored.path.replace(last)
    return Stored(last, stored.content)


def begin_anew(folder: Path) -> None:
    """Remove the checkpoints, metrics and event files of a run, but not its settings and log."""
    growing_files(folder).remove()
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def sweep_up(folder: Path) -> None:
    """Remove the half-written files in a run's folder."""
    for part in [*folder.glob(".*.part"), *folder.glob("checkpoints/.*.part")]:
        part.unlink()


def growing_files(folder: Path) -> GrowingFiles:
    """Return the files of a run that grow with each epoch."""
    return GrowingFiles(folder, ("metrics.csv", PATTERN, f"*/{PATTERN}"))
