import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from fer_lightning.errors import InputError
from fer_lightning.runs import COLUMNS
from fer_lightning.sweeps.searching.halving import AsynchronousRungs, HalvingSweeper
from fer_lightning.sweeps.searching.rungs import brackets, rung_epochs, survivors
from fer_lightning.sweeps.searching.space import space_of

MAX_EPOCHS = 27


class Killed(BaseException):
    """What ends a sweep in these tests, wherever it is."""


def accuracy(number: int, epoch: int) -> float:
    """Return the accuracy of a run: those that end high begin low, except every third."""
    rate = 0.05 if number % 3 else 0.3
    return (0.5 + 0.01 * number) * (1 - (1 - rate) ** epoch)


def write_curves(folder: Path, number: int, epochs: int) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for epoch in range(1, epochs + 1):
            acc = accuracy(number, epoch)
            writer.writerow([epoch, 1 - acc, acc, 1 - acc, acc, 0.1])


class Halving(HalvingSweeper):
    """A sweep whose runs are formulae; it dies after training a number of them."""

    def __init__(self, folder: Path, survives: int = 1000, **settings) -> None:
        defaults = {"method": "successive", "eta": 3, "min_epochs": 3, "n_trials": None, "seed": 0}
        super().__init__(**{**defaults, **settings})
        self.place, self.left = folder, survives
        self.trained: Counter[int] = Counter()

    @property
    def folder(self) -> Path:
        return self.place

    def epochs(self, space, job) -> int:
        return MAX_EPOCHS

    def say(self, text) -> None:
        pass

    def folders(self):
        return {int(path.name[:-1]) - 1: path for path in self.folder.glob("*_")}

    def launch(self, jobs) -> None:
        for number, overrides in jobs.items():
            self.left -= 1
            if self.left < 0:
                raise Killed
            values = dict(word.split("=") for word in overrides)
            assert values["seed"] == str(number)
            epochs = int(values.get("pause.epoch", MAX_EPOCHS))
            stopped = f"at rung {values['pause.rung']}" if "pause.rung" in values else None
            self.trained[number] += epochs - self.summaries([number])[number].get("epochs", 0)
            folder = self.folder / f"{number + 1}_"
            write_curves(folder, number, epochs)
            summary = {"epochs": epochs, "stopped": stopped, "diverged": False}
            (folder / "summary.json").write_text(json.dumps(summary))


def endings(sweep: Halving) -> dict[int, tuple[int, str | None]]:
    summaries = sweep.summaries(sweep.folders())
    return {n: (summary["epochs"], summary["stopped"]) for n, summary in summaries.items()}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((3, 81, 3), (3, 9, 27, 81)),
        ((1, 81, 3), (1, 3, 9, 27, 81)),
        ((3, 60, 3), (7, 20, 60)),
        ((2, 16, 2), (2, 4, 8, 16)),
        ((3, 5, 3), (5,)),
    ],
)
def test_rungs_are_parts_of_all_epochs(limits, expected):
    assert rung_epochs(*limits) == expected


def test_the_best_third_survives_and_ties_go_to_the_smaller_loss_and_number():
    merits = {0: (0.5, -1.0), 1: (0.7, -1.0), 2: (0.7, -0.9), 3: (0.7, -1.0), 4: (0.1, -0.1)}
    assert survivors(merits, 9, 3) == [2, 1, 3]
    assert survivors(merits, 2, 3) == [2]
    assert survivors({}, 9, 3) == []


def test_brackets_share_all_runs_and_cost_about_the_same():
    found = brackets(400, (1, 3, 9, 27, 81), 3, seed=0)
    assert sorted(run for bracket in found for run in bracket.runs) == list(range(400))
    # by hand: 3^s / (s + 1) for s = 4 to 0 is 16.2, 6.75, 3, 1.5 and 1 of 28.45
    assert [len(bracket.runs) for bracket in found] == [228, 95, 42, 21, 14]
    costs = []
    for bracket in found:
        n, before, cost = len(bracket.runs), 0, 0
        for epoch in bracket.rungs:
            cost, before, n = cost + n * (epoch - before), epoch, max(1, n // 3)
        costs.append(cost)
    assert [bracket.rungs[0] for bracket in found] == [1, 3, 9, 27, 81]
    assert max(costs) < 2.1 * min(costs)


@pytest.mark.parametrize("method", ["successive", "hyperband"])
def test_a_sweep_trains_what_brute_force_says(tmp_path, method):
    sweep = Halving(tmp_path, method=method)
    plan = sweep.plan(space_of({}, ["seed=range(0,27)"]))
    sweep.search(plan)
    expected = {}
    for bracket in plan.brackets:
        runs = list(bracket.runs)
        for rung, epoch in enumerate(bracket.rungs, 1):
            last = epoch == MAX_EPOCHS
            expected |= dict.fromkeys(runs, (epoch, None if last else f"at rung {rung}"))
            ranked = sorted(runs, key=lambda run: -max(accuracy(run, e + 1) for e in range(epoch)))
            runs = ranked[: max(1, len(runs) // 3)]
    assert endings(sweep) == expected
    assert Counter(stopped for _, stopped in expected.values())[None] >= 1
    assert sum(sweep.trained.values()) == sum(epochs for epochs, _ in expected.values())


@pytest.mark.parametrize("method", ["successive", "hyperband"])
@pytest.mark.parametrize("survives", [0, 5, 13, 26, 27, 30])
def test_a_sweep_that_was_killed_trains_only_what_is_left(tmp_path, method, survives):
    space = space_of({}, ["seed=range(0,27)"])
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    whole = Halving(tmp_path / "whole", method=method)
    whole.search(whole.plan(space))
    killed = Halving(tmp_path / "killed", survives, method=method)
    with pytest.raises(Killed):
        killed.search(killed.plan(space))
    resumed = Halving(tmp_path / "killed", method=method)
    resumed.search(resumed.plan(space))
    assert endings(resumed) == endings(whole)
    assert killed.trained + resumed.trained == whole.trained
    rungs = [json.loads((s.folder / "rungs.json").read_text()) for s in (whole, resumed)]
    assert rungs[0] == rungs[1]


@pytest.mark.parametrize("method", ["successive", "hyperband"])
def test_a_sweep_that_has_ended_decides_the_same_again_and_trains_nothing(tmp_path, method):
    sweep = Halving(tmp_path, method=method)
    sweep.search(sweep.plan(space_of({}, ["seed=range(0,27)"])))
    # one that came to the end diverged there, long after the rungs that it had passed
    last = next(n for n, (_, stopped) in endings(sweep).items() if stopped is None)
    path = tmp_path / f"{last + 1}_" / "summary.json"
    path.write_text(json.dumps({"epochs": MAX_EPOCHS, "stopped": None, "diverged": True}))
    before = (tmp_path / "rungs.json").read_text()
    again = Halving(tmp_path, method=method)
    again.search(again.plan(space_of({}, ["seed=range(0,27)"])))
    assert not again.trained
    assert (tmp_path / "rungs.json").read_text() == before


def test_a_run_that_fails_or_diverges_does_not_go_on(tmp_path, monkeypatch):
    sweep = Halving(tmp_path)
    launch = sweep.launch

    def fails(jobs) -> None:
        launch({number: job for number, job in jobs.items() if number != 6})
        path = tmp_path / "8_" / "summary.json"
        path.write_text(json.dumps({"epochs": 3, "stopped": None, "diverged": True}))

    monkeypatch.setattr(sweep, "launch", fails)
    sweep.search(sweep.plan(space_of({}, ["seed=range(0,9)"])))
    rungs = json.loads((tmp_path / "rungs.json").read_text())["rungs"]
    assert len(rungs[0]["runs"]) == 9
    assert not {7, 8} & set(rungs[0]["survivors"])
    assert len(rungs[0]["survivors"]) == 3


def test_an_asynchronous_run_stops_where_it_is_not_among_the_best_so_far(tmp_path):
    epochs = rung_epochs(3, MAX_EPOCHS, 3)
    order = [4, 2, 0, 8, 6, 1, 7, 3, 5]
    reached = {epoch: [] for epoch in epochs}
    for number in order:
        folder = tmp_path / f"{number}_"
        judge = AsynchronousRungs(folder, epochs, 3)
        told = None
        for epoch in range(1, MAX_EPOCHS):
            write_curves(folder, number, epoch)
            told = judge(epoch, {})
            if epoch in epochs:
                reached[epoch].append(accuracy(number, epoch))
                best = sorted(reached[epoch])[::-1][: max(1, len(reached[epoch]) // 3)]
                assert (told is None) == (reached[epoch][-1] in best)
            else:
                assert told is None
            if told:
                assert told == f"at rung {epochs.index(epoch) + 1}"
                break
    assert len(reached[3]) == 9
    assert 1 <= len(reached[9]) < 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "x"}, "hydra.sweeper.method must be one of successive, hyperband, async"),
        ({"eta": 1}, "hydra.sweeper.eta must be an integer of at least 2, got 1"),
        ({"min_epochs": 0}, "hydra.sweeper.min_epochs must be an integer of at least 1, got 0"),
        ({"n_trials": 28}, "hydra.sweeper.n_trials must be at most 27, got 28"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        Halving(tmp_path, **settings).plan(space_of({}, ["seed=range(0,27)"]))


def test_an_interval_needs_a_number_of_runs(tmp_path):
    space = space_of({}, ["seed=interval(0,27)"])
    with pytest.raises(InputError, match="seed must be a list of values or a range for a grid"):
        Halving(tmp_path).plan(space)
    assert len(Halving(tmp_path, n_trials=5).plan(space).jobs) == 5
