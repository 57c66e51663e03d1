import math
from pathlib import Path

import pytest

from fer_lightning.errors import InputError
from fer_lightning.sweeps.searching.search import OptunaSweeper
from fer_lightning.sweeps.searching.space import space_of
from fer_lightning.sweeps.searching.trials import PrunedTrials, storage_in

optuna = pytest.importorskip("optuna")

SPACE = space_of({}, ["optim.lr=tag(log,interval(1e-3,1))", "seed=range(0,6)", "x=interval(0,1)"])
COUNTED = space_of({}, ["optim.lr=0.1,0.2,0.3,0.4", "seed=range(0,6)"])


class Killed(BaseException):
    """What ends a search in these tests, wherever it is."""


class Search(OptunaSweeper):
    """A search whose runs are formulae, and whose work ends after a number of writings."""

    def __init__(self, folder: Path, survives: int | None = None, **settings) -> None:
        defaults = {"n_trials": 13, "n_jobs": 1, "objectives": ["val/acc"], "sampler": "tpe"}
        others = {"sampler_args": None, "pruner": "nop", "pruner_args": None, "storage": "journal"}
        super().__init__(**{**defaults, **others, "seed": 3, **settings})
        self.place, self.left = folder, survives
        self.launched: list[int] = []

    @property
    def folder(self) -> Path:
        return self.place

    def summaries(self, numbers):
        places = {n: self.folder / "runs" / str(n) for n in numbers}
        return {n: eval(p.read_text()) if p.exists() else {} for n, p in places.items()}

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


def test_parallel_trials_that_have_run_are_not_run_again(tmp_path):
    tmp_path.joinpath("s").mkdir()
    first = Search(tmp_path / "s", survives=6, n_jobs=4)  # dies in its second batch
    with pytest.raises(Killed):
        first.search(first.plan(SPACE))
    second = Search(tmp_path / "s", n_jobs=4)
    second.search(second.plan(SPACE))
    assert first.launched == [0, 1, 2, 3, 4, 5]
    assert second.launched == list(range(6, 13))
    assert {trial.state.name for trial in second.trials()} == {"COMPLETE"}


def test_a_journal_that_ends_within_a_line_goes_on_before_it(tmp_path):
    tmp_path.joinpath("s").mkdir()
    first = Search(tmp_path / "s", n_trials=3)
    first.search(first.plan(SPACE))
    with (tmp_path / "s" / "optuna.journal").open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    second = Search(tmp_path / "s", n_trials=5)
    second.search(second.plan(SPACE))
    assert [trial.number for trial in second.trials()] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_the_storage_has_the_values_of_all_objectives(tmp_path, storage):
    tmp_path.joinpath("s").mkdir()
    given = {"objectives": ["val/acc", "n_parameters"], "storage": storage, "n_trials": 4}
    search = Search(tmp_path / "s", **given)
    search.search(search.plan(SPACE))
    for trial in search.trials():
        summary = search.summaries([trial.number])[trial.number]
        acc = 0.0 if summary["diverged"] else summary["best"]["val"]["acc"]
        assert trial.values == [acc, summary["n_parameters"]]


def test_a_failed_run_is_a_failed_trial(tmp_path, monkeypatch):
    tmp_path.joinpath("s").mkdir()
    search = Search(tmp_path / "s", n_trials=3)
    launch = search.launch
    monkeypatch.setattr(search, "launch", lambda jobs: None if 1 in jobs else launch(jobs))
    search.search(search.plan(SPACE))
    assert [trial.state.name for trial in search.trials()] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_numbers_are_rounded_to_what_people_read(tmp_path):
    tmp_path.joinpath("s").mkdir()
    search = Search(tmp_path / "s", n_trials=3)
    search.search(search.plan(SPACE))
    for trial in search.trials():
        assert trial.params["optim.lr"] == float(f"{trial.params['optim.lr']:.6g}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "Bayes"}, "hydra.sweeper.sampler must be one of TPESampler, "),
        ({"pruner": "x"}, "hydra.sweeper.pruner must be one of NopPruner, "),
        ({"sampler_args": {"wild": 1}}, "hydra.sweeper.sampler_args: .*wild"),
        ({"n_trials": 0}, "hydra.sweeper.n_trials must be an integer of at least 1, got 0"),
        ({"objectives": ["test/acc"]}, "hydra.sweeper.objectives must be one or several of"),
        ({"objectives": []}, "hydra.sweeper.objectives must be one or several of"),
        (
            {"objectives": ["val/acc", "epochs"], "pruner": "MedianPruner"},
            "hydra.sweeper.pruner must be NopPruner unless",
        ),
        ({"storage": "redis"}, "hydra.sweeper.storage must be one of journal, sqlite"),
        ({"sampler": "GridSampler"}, "optim.lr must be a list of values or a range for a grid"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        Search(tmp_path, **settings).plan(SPACE)


def test_a_run_that_begins_anew_is_judged_as_when_it_began(tmp_path):
    study = optuna.create_study(
        study_name="x", storage=storage_in(tmp_path, "journal"), direction="maximize"
    )
    before = study.ask()
    for epoch, value in ((1, 0.1), (2, 0.9)):
        before.report(value, epoch)
    study.tell(before, 0.9)
    study.ask()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    judge = PrunedTrials(tmp_path, "journal", pruner, "val/acc").judge(1)
    for _ in range(2):  # killed after the second epoch, before it was said to have been stopped
        assert judge(1, {"val/acc": 0.2}) is None
        assert judge(2, {"val/acc": 0.3}) == "at epoch 2 by MedianPruner"
    assert study.trials[1].intermediate_values == {1: 0.2, 2: 0.3}
