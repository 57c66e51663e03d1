"""What the device of some points is good for."""

import torch

# Compute capabilities of P100, V100, A100, H100 and B200.
_FAST_FLOAT64 = {(6, 0), (7, 0), (8, 0), (9, 0), (10, 0)}


def usable_device(name: torch.device | str) -> torch.device:
    """Return the device of the given name.

    Raises:
        ValueError: PyTorch does not know it, does not find it on this machine, or keeps no values
            there.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device).tolist()
    # Which of them differs by build.
    except (RuntimeError, AssertionError, TypeError, ImportError) as error:
        raise ValueError(
            f"device must be one that PyTorch finds on this machine, such as cpu, got {str(name)!r}"
        ) from error
    return device


def float64_is_fast(device: torch.device) -> bool:
    """Return whether products in float64 take no more time than in float32.

    They do on the GPUs of computing centres alone; there, float64 is used for all points.
    """
    if device.type != "cuda":
        return False
    return torch.cuda.get_device_capability(device) in _FAST_FLOAT64


def bytes_of_block(device: torch.device) -> int:
    """Return how much memory the work on a block may take."""
    if device.type == "cpu":
        return 64 << 20
    return max(512 << 20, free_bytes(device) // 16)


def free_bytes(device: torch.device) -> int:
    """Return how much memory is free on a GPU; 0 where that is not known."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
