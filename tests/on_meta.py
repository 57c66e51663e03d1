"""PyTorch's meta device, on which tensors have no values, in place of a GPU.

What would wait for a GPU needs a value, and raises there: `.item()`, `.cpu()`, `bool(tensor)`, a
mask as an index, `nonzero`. Whatever asks whether a tensor is on the CPU takes the way of a GPU.
"""

import copy
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class NoTransfers(TorchDispatchMode):
    """Raises where an operation takes a tensor of the CPU to the meta device, or mixes the two.

    On a GPU that is a copy, which waits unless the memory is pinned.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        devices = {t.device.type for t in tensors}
        devices |= {torch.device(kwargs["device"]).type} if (kwargs or {}).get("device") else set()
        made = func(*args, **(kwargs or {}))
        if tensors and devices == {"cpu", "meta"}:
            raise AssertionError(f"{func} copies from one device to another")
        return made


def on_meta(thing: Any) -> Any:
    """Return a copy of an object in which all tensors, at any depth, are on the meta device."""
    return _moved(thing, {})


def _moved(thing: Any, done: dict[int, Any]) -> Any:
    if id(thing) in done:
        return done[id(thing)]
    if isinstance(thing, torch.Tensor):
        made: Any = torch.empty_strided(
            thing.shape, thing.stride(), dtype=thing.dtype, device="meta"
        )
    elif isinstance(thing, torch.device):
        made = torch.device("meta")
    elif isinstance(thing, list | tuple):
        made = type(thing)(_moved(part, done) for part in thing)
    elif isinstance(thing, dict):
        made = {key: _moved(part, done) for key, part in thing.items()}
    elif getattr(type(thing), "__module__", "").startswith(("gmm.", "fer_lightning.")):
        made = done[id(thing)] = copy.copy(thing)
        for name, part in vars(thing).items():
            object.__setattr__(made, name, _moved(part, done))
    else:
        made = thing
    done[id(thing)] = made
    return made
