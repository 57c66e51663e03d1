"""Tensors in a file that anybody may have written."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def read_tensors(path: Path) -> dict[str, Any]:
    """Tensors and plain values of a file that `torch.save` wrote, on the CPU.

    It takes no more memory than the file has bytes, and nothing in it can run code.

    Raises:
        FileNotFoundError: If there is no such file.
        Exception: If it is another kind of file, or damaged; PyTorch raises many kinds.
    """
    _require_unpacked(path)
    content = torch.load(str(path), weights_only=True, map_location="cpu")
    if not all(_is_whole(value) for value in content.values() if isinstance(value, Tensor)):
        raise ValueError("tensors without numbers of their own")
    return content


def _require_unpacked(path: Path) -> None:
    """Raise a `ValueError` if a member of the archive would expand, as none of PyTorch's does."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    size = sum(member.file_size for member in members)
    if any(m.compress_type != zipfile.ZIP_STORED for m in members) or size > path.stat().st_size:
        raise ValueError("its members are compressed")


def _is_whole(tensor: Tensor) -> bool:
    """Whether a tensor has a place in memory for each of its numbers."""
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
    return dense and tensor.nbytes <= tensor.untyped_storage().nbytes()
