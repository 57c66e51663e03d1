"""Recognise seven facial expressions on grey faces, with PyTorch Lightning and Hydra.

The commands stand here as modules; everything else lives in rooms, of which each imports only
those below it. `docs/architecture.md` is the map.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_lightning.recognition import Face as Face, Recogniser as Recogniser


def __getattr__(name: str) -> Any:
    """Import what is used from Python without naming its room, when it is first asked for."""
    if name in ("Face", "Recogniser"):
        import fer_lightning.recognition

        return getattr(fer_lightning.recognition, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
