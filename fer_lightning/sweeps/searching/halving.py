"""Sweeps that stop early what is not among the best: `hydra/sweeper=halving`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from fer_lightning.errors import require, require_integer
from fer_lightning.files import write_json
from fer_lightning.runs import is_finished
from fer_lightning.sweeps.searching.rungs import (
    Bracket,
    brackets,
    goes_on,
    merit,
    rung_epochs,
    survivors,
)
from fer_lightning.sweeps.searching.space import Space
from fer_lightning.sweeps.searching.sweeper import OwnSweeper

METHODS = ("successive", "hyperband", "asynchronous")


@dataclass(frozen=True)
class Plan:
    """What a sweep by halving does.

    Attributes:
        jobs: The overrides of its runs.
        brackets: The races in which they run.
    """

    jobs: Sequence[Sequence[str]]
    brackets: Sequence[Bracket]


@dataclass(frozen=True)
class Rung:
    """How a rung ended.

    Attributes:
        bracket: Number of the race, from 1.
        rung: Number in its race, from 1.
        epoch: After which it was decided.
        runs: Numbers, from 1, of the runs that were to come to it.
        survivors: Numbers of those that go on, the best first.
    """

    bracket: int
    rung: int
    epoch: int
    runs: list[int]
    survivors: list[int]


class HalvingSweeper(OwnSweeper):
    """Trains all runs for a few epochs, the best of them for eta times as many, and so on.

    What counts is the best validation accuracy so far. Runs that are stopped have whole folders.

    Args:
        method: `successive`: the runs of a rung are compared when all are there. `hyperband`:
            several such races, which begin with more or fewer epochs. `asynchronous`: a run that
            comes to a rung is compared with those that have been there, and goes on or stops at
            once, so that no process waits for others.
        eta: The best 1 / eta of the runs go on from a rung, for eta times the epochs.
        min_epochs: The least number of epochs of the first rung.
        n_trials: Number of runs, drawn at random; null for the whole grid.
        seed: Of what is drawn.
        params: What varies.
    """

    def __init__(
        self,
        method: str,
        eta: int,
        min_epochs: int,
        n_trials: int | None,
        seed: int,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(params)
        one_of = f"be one of {', '.join(METHODS)}"
        require(method in METHODS, "hydra.sweeper.method", one_of, method)
        require_integer("hydra.sweeper.eta", eta, 2)
        require_integer("hydra.sweeper.min_epochs", min_epochs, 1)
        require_integer("hydra.sweeper.seed", seed, 0)
        if n_trials is not None:
            require_integer("hydra.sweeper.n_trials", n_trials, 1)
        self.method, self.eta, self.min_epochs = method, eta, min_epochs
        self.n_trials, self.seed = n_trials, seed

    def plan(self, space: Space) -> Plan:
        if self.n_trials is None:
            values = space.grid()
        else:
            values = space.drawn(self.n_trials, Random(self.seed))
        jobs = [space.overrides(each) for each in values]
        rungs = rung_epochs(self.min_epochs, self.epochs(space, jobs[0]), self.eta)
        if self.method == "hyperband":
            return Plan(jobs, brackets(len(jobs), rungs, self.eta, self.seed))
        return Plan(jobs, [Bracket(rungs, tuple(range(len(jobs))))])

    def epochs(self, space: Space, job: Sequence[str]) -> int:
        """Return the number of epochs of all runs."""
        keys = [dimension.key.lstrip("+") for dimension in space.dimensions]
        rule = "be the same for all runs of hydra/sweeper=halving"
        require("trainer.max_epochs" not in keys, "trainer.max_epochs", rule, "several values")
        return int(self.composed(job).trainer.max_epochs)

    def search(self, plan: Plan) -> None:
        if self.method == "asynchronous":
            self.launch(dict(enumerate(plan.jobs)))
            return
        alive = {bracket: list(bracket.runs) for bracket in plan.brackets}
        ended: list[Rung] = []
        for epoch in sorted({epoch for bracket in plan.brackets for epoch in bracket.rungs}):
            here = [bracket for bracket in plan.brackets if epoch in bracket.rungs]
            self._train(plan, {bracket: alive[bracket] for bracket in here}, epoch)
            for bracket in here:
                begun, is_last = alive[bracket], epoch == bracket.rungs[-1]
                alive[bracket] = [] if is_last else self._survivors(begun, epoch)
                number, rung = plan.brackets.index(bracket), bracket.rungs.index(epoch)
                numbers = ([1 + run for run in runs] for runs in (begun, alive[bracket]))
                ended.append(Rung(1 + number, 1 + rung, epoch, *numbers))
                self._say(ended[-1], bracket, len(plan.brackets))
            write_json(self.folder / "rungs.json", {"rungs": [asdict(rung) for rung in ended]})

    def _train(self, plan: Plan, alive: Mapping[Bracket, Sequence[int]], epoch: int) -> None:
        """Train the runs up to an epoch, except those that have been there."""
        jobs = {}
        for bracket, runs in alive.items():
            is_last = epoch == bracket.rungs[-1]
            rung = 1 + bracket.rungs.index(epoch)
            pause = [] if is_last else [f"pause.epoch={epoch}", f"pause.rung={rung}"]
            for run, summary in self.summaries(runs).items():
                if not is_finished(summary, None if is_last else epoch):
                    jobs[run] = [*plan.jobs[run], *pause]
        if jobs:
            self.launch(dict(sorted(jobs.items())))

    def _survivors(self, begun: Sequence[int], epoch: int) -> list[int]:
        """Return the runs that go on from a rung, the best first."""
        folders, merits = self.folders(), {}
        for number, summary in self.summaries(begun).items():
            reached = merit(folders[number], epoch) if summary else None
            if reached and not (summary["diverged"] and summary["epochs"] <= epoch):
                merits[number] = reached
        return survivors(merits, len(begun), self.eta)

    def _say(self, rung: Rung, bracket: Bracket, n_brackets: int) -> None:
        race = f"bracket {rung.bracket}, " * (n_brackets > 1)
        told = f"{race}rung {rung.rung} of {len(bracket.rungs)}, epoch {rung.epoch}: "
        told += f"{len(rung.runs)} run" + "s" * (len(rung.runs) != 1)
        best = ", ".join(map(str, rung.survivors[:5])) + ", ..." * (len(rung.survivors) > 5)
        goes = "goes" if len(rung.survivors) == 1 else "go"
        self.say(f"{told}; {len(rung.survivors)} {goes} on ({best})" if rung.survivors else told)


class AsynchronousRungs:
    """Stops a run at a rung if it is not among the best that have been there.

    The runs of a sweep find each other's curves in its folder, on whichever machine they are.

    Args:
        folder: Of the run, which may not be there yet.
        rungs: The epochs at which it is decided; the last is the end.
        eta: The best 1 / eta go on.
    """

    def __init__(self, folder: Path, rungs: Sequence[int], eta: int) -> None:
        self.folder, self.rungs, self.eta = folder, rungs, eta

    def __call__(self, epoch: int, means: Mapping[str, float]) -> str | None:
        """Return that the run stops at a rung, or None."""
        if epoch not in self.rungs[:-1]:
            return None
        own = merit(self.folder, epoch)
        others = [path.parent for path in self.folder.parent.glob("*/metrics.csv")]
        reached = [merit(folder, epoch) for folder in others if folder != self.folder]
        if own and goes_on(own, [other for other in reached if other], self.eta):
            return None
        return f"at rung {1 + self.rungs.index(epoch)}"
