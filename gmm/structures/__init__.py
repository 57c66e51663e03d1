"""What EM needs to know about each covariance structure: densities, sums, and the M-step's maxima.

In come blocks of points and the parameters of mixtures, out go log-densities and new parameters.
`dense.py` has the structures with correlations, `diagonal.py` those without, `products.py` the two
matrix products that EM spends its time in, `statistics.py` what makes them all of EM on a GPU.
"""

from gmm.structures.columns import Columns
from gmm.structures.covariance import Covariance, Joint, Moments
from gmm.structures.dense import Full, Tied
from gmm.structures.diagonal import Diag, Spherical
from gmm.structures.factors import whitening
from gmm.structures.products import weighted_sums

__all__ = [
    "STRUCTURES",
    "Columns",
    "Covariance",
    "Joint",
    "Moments",
    "structure",
    "weighted_sums",
    "whitening",
]

STRUCTURES: dict[str, Covariance] = {c.name: c for c in (Diag(), Spherical(), Tied(), Full())}


def structure(name: str) -> Covariance:
    """Return the covariance structure of the given name.

    Raises:
        ValueError: If there is none.
    """
    if name not in STRUCTURES:
        raise ValueError(f"covariance_type must be one of {sorted(STRUCTURES)}, got {name!r}")
    return STRUCTURES[name]
