"""One pass over the points by mixtures as they are, after their last M-step."""

from gmm.expectation.e_step import Expected, expect
from gmm.mixtures.mixture import Mixture
from gmm.points import Points
from gmm.structures import Columns


def final_pass(points: Points, mixture: Mixture, *, entropy: bool = False) -> Expected:
    """Return counts and log-evidence under the final parameters, which EM does not tell.

    Args:
        points: The G data sets.
        mixture: Of batch shape (G, M).
        entropy: Whether the entropy of the responsibilities is wanted.
    """
    parameters = mixture.relative_to(points.center.double())
    factors = mixture.structure.factor(parameters.covariances)
    columns = Columns.of(parameters.log_weights)
    return expect(points, parameters, factors, columns, entropy=entropy)
