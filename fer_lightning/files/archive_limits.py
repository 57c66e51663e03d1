"""What an archive may hold, whatever its format."""

from pathlib import Path

from fer_lightning.errors import InputError

MAX_READ_BYTES = 2**26  # of a picture file
MAX_STREAM_BYTES = 2**34  # of a csv file; FER2013's has 0.3 * 2**30
MAX_MEMBERS = 2**21
MAX_EXPANSION = 100  # bytes out of one byte of an archive; deflate can do a thousand
SMALL_BYTES = 2**20  # any expansion up to here does no harm


def require_inside(path: Path, name: str) -> None:
    """Raise an `InputError` if a name in an archive leaves it."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":":
        raise InputError(f"{path}: names in the archive must stay inside it, got {name!r}")


def require_few(n: int, path: Path) -> None:
    """Raise an `InputError` if an archive has too many files."""
    if n > MAX_MEMBERS:
        raise InputError(f"{path}: must hold at most {MAX_MEMBERS} files, got {n}")


def require_readable(path: Path, name: str, n_bytes: int) -> None:
    """Raise an `InputError` if a file of an archive is too large to be read at once."""
    if n_bytes > MAX_READ_BYTES:
        raise InputError(f"{path}: {name}: must have at most {MAX_READ_BYTES} bytes")


def require_little_expansion(path: Path, n_bytes: int) -> None:
    """Raise an `InputError` if an archive becomes that many bytes, which is beyond all measure."""
    packed = path.stat().st_size
    if n_bytes > max(SMALL_BYTES, MAX_EXPANSION * packed):
        raise InputError(
            f"{path}: must expand to at most {MAX_EXPANSION} times its size, "
            f"got {packed} bytes that become {n_bytes}"
        )


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is none of the user's."""
    return name.startswith(".") or name == "__MACOSX"
