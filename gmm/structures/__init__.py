"""What EM needs to know about each covariance structure: densities, sums, and the M-step's maxima.

In come blocks of points and the parameters of mixtures, out go log-densities and new parameters.
`dense.py` has the structures with correlations, `diagonal.py` those without, `factor_analysis.py`
those of a few factors, `products.py` the two matrix products that EM spends its time in,
`statistics.py` what makes them all of EM on a GPU.
"""

from gmm.structures.columns import Columns
from gmm.structures.covariance import LOG_2PI, Covariance, Joint, Linear, Moments
from gmm.structures.dense import Full, Tied
from gmm.structures.diagonal import Diag, Spherical
from gmm.structures.factor_analysis import PPCA, FactorAnalysis
from gmm.structures.products import weighted_sums
from gmm.structures.roots import inverse_root, log_det, whitening

__all__ = [
    "LOG_2PI",
    "N_FACTORS",
    "STRUCTURES",
    "Columns",
    "Covariance",
    "FactorAnalysis",
    "Joint",
    "Linear",
    "Moments",
    "inverse_root",
    "linear",
    "log_det",
    "structure",
    "weighted_sums",
    "whitening",
]

N_FACTORS = 10  # unless told otherwise

_ALL = (Diag(), Spherical(), Tied(), Full(), FactorAnalysis(), PPCA())
STRUCTURES: dict[str, Covariance] = {c.name: c for c in _ALL}


def structure(name: str, n_factors: int | None = None) -> Covariance:
    """Return the covariance structure of the given name.

    Args:
        name: One of `STRUCTURES`.
        n_factors: Of factor and ppca, needed where shapes are asked for; the others have none.

    Raises:
        ValueError: If there is none.
    """
    if name not in STRUCTURES:
        raise ValueError(f"covariance_type must be one of {sorted(STRUCTURES)}, got {name!r}")
    kind = STRUCTURES[name]
    return type(kind)(n_factors) if isinstance(kind, FactorAnalysis) else kind


def linear(name: str) -> Linear:
    """Return the structure of the given name, one of those that have a conjugate prior.

    Raises:
        ValueError: If there is none.
    """
    found = STRUCTURES.get(name)
    if not isinstance(found, Linear):
        known = sorted(n for n, kind in STRUCTURES.items() if isinstance(kind, Linear))
        raise ValueError(f"covariance_type must be one of {known} here, got {name!r}")
    return found
