"""PyTorch's meta device, on which tensors have no values, in place of a GPU.

What would wait for a GPU needs a value, and raises there: `.item()`, `.cpu()`, `bool(tensor)`, a
mask as an index, `nonzero`. Whatever asks whether a tensor is on the CPU takes the way of a GPU.
"""

import copy
from typing import Any

import torch


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
