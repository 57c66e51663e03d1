"""What a fit prints of itself, in the form of scikit-learn's mixtures."""

import time

import torch
from torch import Tensor


class Verbose:
    """The lines of one fit, whose restarts go on side by side and share them.

    Numbers are those of the restart that is best so far.

    Args:
        level: 0 prints nothing, 1 the iterations, 2 their times and log-likelihoods too.
        interval: Every how many iterations a line is printed.
        n_init: Restarts.
        previous: Mean log-likelihood that the first change is measured from.
    """

    def __init__(
        self, level: int, interval: int, n_init: int = 1, previous: float = -torch.inf
    ) -> None:
        self.level, self.interval = int(level), interval
        self.began = self.last_line = time.perf_counter()
        self.previous = self.best = previous
        self.of_restarts = torch.full((n_init,), -torch.inf, dtype=torch.float64)
        self._say("Initialization 0" if n_init == 1 else f"Initialization 0 to {n_init - 1}")

    def iteration(self, number: int, log_likelihood: Tensor) -> None:
        """Report an iteration (from 1) and the mean log-likelihood of every restart, (1, n_init).

        It is NaN in restarts that have ended.
        """
        found = log_likelihood.flatten().cpu()
        self.of_restarts = torch.where(found.isnan(), self.of_restarts, found)
        self.previous, self.best = self.best, float(self.of_restarts.max())
        if number % self.interval != 0:
            return
        now = time.perf_counter()
        self._say(
            f"  Iteration {number}",
            f"time lapse {now - self.last_line:.5f}s",
            f"ll change {self.best - self.previous:.5f}",
        )
        self.last_line = now

    def end(self, converged: bool, lower_bound: float) -> None:
        """Report whether the best restart has converged, and its mean log-likelihood."""
        outcome = "converged" if converged else "did not converge"
        seconds = time.perf_counter() - self.began
        detail = f" time lapse {seconds:.5f}s" if self.level > 1 else ""
        self._say(f"Initialization {outcome}.{detail}", f"lower bound {lower_bound:.5f}.")

    def _say(self, line: str, *details: str) -> None:
        if self.level > 0:
            print("\t ".join([line, *details]) if self.level > 1 else line)
