"""The four covariance structures by name."""

from gmm.covariance import Covariance
from gmm.dense import Full, Tied
from gmm.diagonal import Diag, Spherical

STRUCTURES: dict[str, Covariance] = {c.name: c for c in (Diag(), Spherical(), Tied(), Full())}


def structure(name: str) -> Covariance:
    """Return the covariance structure of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in STRUCTURES:
        raise ValueError(f"covariance_type must be one of {sorted(STRUCTURES)}, got {name!r}")
    return STRUCTURES[name]
