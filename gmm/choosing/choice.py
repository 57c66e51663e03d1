"""The outcome of a choice among mixtures: a table of criteria, and what was chosen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gmm.mixtures.mixture import Mixture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gmm.choosing.figure import Curves

CRITERIA = ("bic", "aic", "icl", "held_out")


@dataclass(frozen=True, eq=False)
class Choice:
    """Mixtures of several structures (S) and numbers of components (L), and the chosen one.

    What describes them has the shape (S, L), in float64 on the CPU. All log-likelihoods are those
    of the final parameters. A mixture that broke down has the log-likelihood -inf, and is not
    chosen.

    Attributes:
        criterion: What decided: bic, aic, icl or held_out.
        covariance_types: The structures, S.
        numbers: The numbers of components, L.
        mixtures: Fitted to all points, for each structure a batch (L).
        n_points: N.
        total_log_likelihood: Log-likelihood of all points.
        entropy: Entropy of the responsibilities, -sum_nk r_nk log r_nk, in nats.
        n_parameters: Free parameters.
        held_out: Mean log-likelihood of a point that was held out of the fit; higher is better.
            NaN where none were.
        held_out_error: Its standard error.
        converged: Whether EM converged on all points.

    Raises:
        ValueError: If every mixture broke down.
    """

    criterion: str
    covariance_types: tuple[str, ...]
    numbers: tuple[int, ...]
    mixtures: tuple[Mixture, ...]
    n_points: int
    total_log_likelihood: Tensor
    entropy: Tensor
    n_parameters: Tensor
    held_out: Tensor
    held_out_error: Tensor
    converged: Tensor

    def __post_init__(self) -> None:
        if not (self._badness < torch.inf).any():
            raise ValueError("every mixture broke down; raise reg_covar or min_variance")

    @property
    def log_likelihood(self) -> Tensor:
        """Return the mean log-likelihood of a point, in nats, (S, L)."""
        return self.total_log_likelihood / self.n_points

    @property
    def bic(self) -> Tensor:
        """Return the Bayesian information criterion (Schwarz 1978), (S, L); lower is better."""
        return self.n_parameters * math.log(self.n_points) - 2 * self.total_log_likelihood

    @property
    def aic(self) -> Tensor:
        """Return the Akaike information criterion (Akaike 1974), (S, L); lower is better."""
        return 2 * self.n_parameters - 2 * self.total_log_likelihood

    @property
    def icl(self) -> Tensor:
        """Return the integrated completed likelihood, BIC + 2 entropy, (S, L); lower is better.

        It asks for components that do not overlap (Biernacki, Celeux & Govaert 2000, who maximise
        minus half of it).
        """
        return self.bic + 2 * self.entropy

    @property
    def best(self) -> tuple[int, int]:
        """Return the row and column of the chosen mixture."""
        row, column = divmod(int(self._badness.argmin()), len(self.numbers))
        return row, column

    @property
    def n_components(self) -> int:
        """Return the chosen number of components."""
        return self.numbers[self.best[1]]

    @property
    def covariance_type(self) -> str:
        """Return the chosen structure."""
        return self.covariance_types[self.best[0]]

    @property
    def mixture(self) -> Mixture:
        """Return the chosen mixture, fitted to all points."""
        row, column = self.best
        return self.mixtures[row][column]

    def chosen_by(self, criterion: str) -> tuple[str, int]:
        """Return the structure and the number of components that a criterion would choose.

        Raises:
            ValueError: If there is no such criterion, or no points were held out for it.
        """
        if criterion not in CRITERIA:
            raise ValueError(f"criterion must be one of {list(CRITERIA)}, got {criterion!r}")
        if criterion == "held_out" and self.held_out.isnan().all():
            raise ValueError(
                "criterion must be another where no points were held out, got held_out"
            )
        row, column = divmod(int(self._by(criterion).argmin()), len(self.numbers))
        return self.covariance_types[row], self.numbers[column]

    def table(self) -> list[dict[str, Any]]:
        """Return a row for every mixture: what was fitted, all criteria, whether it is chosen."""
        names = ("log_likelihood", "bic", "aic", "icl", "held_out", "held_out_error", "converged")
        values = {name: getattr(self, name).tolist() for name in names}
        return [
            {
                "covariance_type": kind,
                "n_components": K,
                **{name: values[name][s][j] for name in names},
                "chosen": (s, j) == self.best,
            }
            for s, kind in enumerate(self.covariance_types)
            for j, K in enumerate(self.numbers)
        ]

    def plot(self, where: "str | Path | Axes | Sequence[Axes]") -> None:
        """Draw all criteria against the number of components, and mark the choice.

        All are shown per point, on the scale of -2 log-likelihood, so that lower is better: AIC
        estimates what the held-out points measure.

        Args:
            where: The file of a figure to write; or axes, one for each structure.

        Raises:
            ValueError: If there are more or fewer of them.
        """
        from gmm.choosing.figure import draw, write

        curves = [self._curves(row) for row in range(len(self.covariance_types))]
        if isinstance(where, str | Path):
            write(curves, where)
        else:
            panels: Any = where
            draw(curves, list(panels) if hasattr(panels, "__iter__") else [panels])

    def _curves(self, row: int) -> "Curves":
        """Return what is drawn of a structure."""
        from gmm.choosing.figure import Curves

        lines = {name: getattr(self, name)[row] / self.n_points for name in ("icl", "bic", "aic")}
        lines["fitted"] = -2 * self.log_likelihood[row]
        if not self.held_out.isnan().all():
            lines["held_out"] = -2 * self.held_out[row]
        return Curves(
            self.covariance_types[row],
            self.numbers,
            {name: line.tolist() for name, line in lines.items()},
            (2 * self.held_out_error[row]).nan_to_num(0).tolist(),
            self.n_components if row == self.best[0] else None,
            self.criterion,
        )

    @property
    def _badness(self) -> Tensor:
        return self._by(self.criterion)

    def _by(self, criterion: str) -> Tensor:
        """Return a criterion, (S, L), of which lower is better, inf where mixtures broke down."""
        values: Tensor = -self.held_out if criterion == "held_out" else getattr(self, criterion)
        is_sound = self.total_log_likelihood.isfinite() & ~values.isnan()
        return torch.where(is_sound, values, torch.inf)
