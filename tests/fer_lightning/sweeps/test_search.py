import math
from pathlib import Path

import pytest

from fer_lightning.errors import InputError
from fer_lightning.runs import SweptRun
from fer_lightning.sweeps.search import OptunaSweeper
from fer_lightning.sweeps.space import space_of

optuna = pytest.importorskip("optuna")

SPACE = space_of({}, ["optim.lr=tag(log,interval(1e-3,1))", "seed=range(0,6)", "x=interval(0,1)"])
COUNTED = space_of({}, ["optim.lr=0.1,0.2,0.3,0.4", "seed=range(0,6)"])


class Killed(BaseException):
    """What ends a search in these tests, wherever it is."""


class Search(OptunaSweeper):
    """A search whose runs are formulae, and whose work ends after a number of writings."""

    def __init__(self, folder: Path, survives: int | None = None, **settings) -> None:
        defaults = {"n_trials": 13, "n_jobs": 1, "objectives": ["val/acc"], "sampler": "tpe"}
        others = {"sampler_args": {}, "pruner": "nop", "pruner_args": {}, "storage": "journal"}
        super().__init__(**{**defaults, **others, "seed": 3, **settings})
        self.place, self.left = folder, survives
        self.launched: list[int] = []

    @property
    def folder(self) -> Path:
        return self.place

    def runs(self):
        found = {int(path.name): path for path in (self.folder / "runs").glob("*")}
        return {n: SweptRun(p, {}, eval(p.read_text())) for n, p in found.items()}

    def launch(self, jobs) -> None:
        (self.folder / "runs").mkdir(exist_ok=True)
        for number, overrides in jobs.items():
            self.step()
            values = dict(word.split("=") for word in overrides)
            lr, seed = float(values["optim.lr"]), float(values["seed"])
            acc = math.exp(-abs(math.log(lr / 0.03))) * (1 - 0.05 * seed)
            best = {"val": {"acc": acc, "ce": 1 - acc}}
            summary = {"best": best, "diverged": lr > 0.9, "n_parameters": 10 * (6 - seed)}
            (self.folder / "runs" / str(number)).write_text(repr(summary))
            self.launched.append(number)

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    def trials(self):
        name = {"journal": "optuna.journal", "sqlite": "optuna.db"}[self.storage]
        url = f"sqlite:///{self.folder / name}"
        backend = optuna.storages.journal.JournalFileBackend(str(self.folder / name))
        storage = url if self.storage == "sqlite" else optuna.storages.JournalStorage(backend)
        return optuna.load_study(study_name=None, storage=storage).trials


def told(trials) -> list[tuple]:
    return [(t.number, t.state, t.params, t.values) for t in trials]


def dies_within(monkeypatch, search: Search) -> None:
    """Let each writing to the journal count as one of those that the search survives."""
    backend = optuna.storages.journal.JournalFileBackend
    append = backend.append_logs

    def counted(self, logs) -> None:
        search.step()
        append(self, logs)

    monkeypatch.setattr(backend, "append_logs", counted)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random", "qmc", "grid", "nsgaii"])
@pytest.mark.parametrize("n_jobs", [1, 4])
def test_a_search_that_is_killed_anywhere_ends_with_the_trials_of_one_that_is_not(
    tmp_path, monkeypatch, sampler, n_jobs
):
    space = COUNTED if sampler == "grid" else SPACE
    whole = Search(tmp_path / "whole", sampler=sampler, n_jobs=n_jobs)
    whole.folder.mkdir()
    whole.search(whole.plan(space))

    folder = tmp_path / "killed"
    folder.mkdir()
    for survives in (1, 2, 5, 3, 7, 4, 9, 2, 6, 100):
        search = Search(folder, survives, sampler=sampler, n_jobs=n_jobs)
        with monkeypatch.context() as patched:
            dies_within(patched, search)
            try:
                search.search(search.plan(space))
            except Killed:
                continue

    assert len(whole.trials()) == 13
    assert told(whole.trials()) == told(search.trials())
    assert len({str(trial.params) for trial in whole.trials()}) > 8
