"""Model files: mixtures as tensors, read without trusting who wrote them."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

_FORMAT = "gmm.Mixture 1"


class ModelFileError(ValueError):
    """A file that holds no mixture: the message names it."""


def write_model(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values, such as the parameters of a mixture, to a model file."""
    torch.save({"format": _FORMAT, **content}, str(path))


def read_model(path: str | Path, make: Callable[..., T]) -> T:
    """Read a model file, and return what `make` makes of its content.

    Args:
        path: A file that `write_model` wrote.
        make: Called with the content as keyword arguments; an error there is damage too.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is a file that `write_model` did not write, or damaged.
    """
    try:
        content = read_tensors(Path(path))
        if content.pop("format") != _FORMAT:
            raise ValueError("another format")
        return make(**content)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch.load fails in many ways on what it did not write.
        raise ModelFileError(
            f"{path} must be a model file written by Mixture.save, got something else"
        ) from error


def read_tensors(path: Path) -> dict[str, Any]:
    """Return the tensors and plain values of a file that `torch.save` wrote, on the CPU.

    It takes no more memory than the file has bytes, and nothing in it can run code.

    Raises:
        FileNotFoundError: If there is no such file.
        Exception: If it is another kind of file, or damaged; PyTorch raises many kinds.
    """
    _require_unpacked(path)
    content: dict[str, Any] = torch.load(str(path), weights_only=True, map_location="cpu")
    if not all(_is_whole(value) for value in content.values() if isinstance(value, Tensor)):
        raise ValueError("tensors without numbers of their own")
    return content


def _require_unpacked(path: Path) -> None:
    """Raise a `ValueError` if a member of the archive is compressed, as PyTorch's never are."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    size = sum(member.file_size for member in members)
    if any(m.compress_type != zipfile.ZIP_STORED for m in members) or size > path.stat().st_size:
        raise ValueError("its members are compressed")


def _is_whole(tensor: Tensor) -> bool:
    """Return whether a tensor is dense, on the CPU, and stores each of its numbers."""
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
    return dense and tensor.nbytes <= tensor.untyped_storage().nbytes()
