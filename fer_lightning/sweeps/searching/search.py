"""Sweeps that search: `hydra/sweeper=optuna`."""

from collections.abc import Mapping, Sequence
from typing import Any

from fer_lightning.errors import require, require_integer
from fer_lightning.sweeps.searching.objectives import DIRECTIONS, require_objectives, values_of
from fer_lightning.sweeps.searching.samplers_pruners import (
    PRUNERS,
    SAMPLERS,
    known_as,
    pruner_of,
    require_optuna,
    sampler_of,
)
from fer_lightning.sweeps.searching.space import Choice, Space
from fer_lightning.sweeps.searching.sweeper import OwnSweeper
from fer_lightning.sweeps.searching.trials import STORAGES, Trials


class OptunaSweeper(OwnSweeper):
    """Asks a sampler of optuna for the settings of runs, and tells it what came of them.

    Args:
        n_trials: Number of runs.
        n_jobs: Runs that are asked for, and launched, at a time.
        objectives: What is looked for, of `DIRECTIONS`.
        sampler: Name of a class of `optuna.samplers`.
        sampler_args: Its arguments.
        pruner: Name of a class of `optuna.pruners`.
        pruner_args: Its arguments.
        storage: `journal` or `sqlite`: what the file with the trials is.
        seed: Of all that is drawn.
        params: What varies.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        objectives: Sequence[str],
        sampler: str,
        sampler_args: Mapping[str, Any] | None,
        pruner: str,
        pruner_args: Mapping[str, Any] | None,
        storage: str,
        seed: int,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(params)
        require_optuna()
        require_integer("hydra.sweeper.n_trials", n_trials, 1)
        require_integer("hydra.sweeper.n_jobs", n_jobs, 1)
        require_integer("hydra.sweeper.seed", seed, 0)
        require_objectives(objectives)
        one_of = f"be one of {', '.join(STORAGES)}"
        require(storage in STORAGES, "hydra.sweeper.storage", one_of, storage)
        self.n_trials, self.n_jobs, self.seed, self.storage = n_trials, n_jobs, seed, storage
        self.objectives = list(objectives)
        self.sampler = known_as(sampler, SAMPLERS, "sampler")
        self.sampler_args = dict(sampler_args or {})
        self.pruner = pruner_of(require_pruner(pruner, self.objectives), pruner_args or {})

    def plan(self, space: Space) -> Space:
        if self.sampler == "Grid":
            self.n_trials = min(self.n_trials, len(space.grid()))
        sampler_of(self.sampler, self.sampler_args, space, self.seed, 0, self.n_jobs)
        choices = ", ".join(d.key for d in space.dimensions if isinstance(d, Choice))
        if self.sampler == "CmaEs" and choices:
            self.say(f"CmaEsSampler is for numbers; drawn at random: {choices}")
        return space

    def search(self, plan: Space) -> None:
        directions = [DIRECTIONS[name] for name in self.objectives]
        trials = Trials(
            *(self.folder, self.storage, plan, directions),
            lambda number: sampler_of(
                self.sampler, self.sampler_args, plan, self.seed, number, self.n_jobs
            ),
            self.pruner,
        )
        while self._batch(trials):
            pass

    def _batch(self, trials: Trials) -> bool:
        """Run the trials that are running, or else some further ones; return whether any are left.

        A batch that was cut off while it was asked for is asked for to its end.
        """
        left, running = self.n_trials - len(trials), trials.running()
        n_new = -len(trials) % self.n_jobs or (0 if running else self.n_jobs)
        batch = [*running, *trials.ask(max(0, min(n_new, left)))]
        numbers = [trial.number for trial in batch]
        done = self.summaries(numbers)
        jobs = {t.number: trials.overrides(t) for t in batch if not done[t.number]}
        if jobs:
            self.launch(jobs)
            done |= self.summaries(jobs)
        for number, summary in done.items():
            values = values_of(summary, self.objectives) if summary else None
            trials.tell(number, values, pruned=bool(summary.get("stopped")))
        return bool(batch)


def require_pruner(name: object, objectives: Sequence[str]) -> str:
    """Return the short name of a pruner that can stop trials with these objectives.

    Raises:
        InputError: There is none of that name, or it cannot.
    """
    short = known_as(name, PRUNERS, "pruner")
    each = short == "Nop" or list(objectives) in (["val/acc"], ["val/ce"])
    rule = "be NopPruner unless the one objective is val/acc or val/ce"
    require(each, "hydra.sweeper.pruner", rule, name)
    return short
