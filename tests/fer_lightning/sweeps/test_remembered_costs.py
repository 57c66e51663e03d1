"""What training together costs, remembered from one sweep to the next."""

import json
import multiprocessing
import time
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from fer_lightning.errors import InputError
from fer_lightning.fused.cost import Cost
from fer_lightning.sweeps.launching import fused_sweep, remembered_costs
from fer_lightning.sweeps.launching.fused_sweep import FusedSweep
from fer_lightning.sweeps.launching.remembered_costs import RememberedCosts

WEEK = 7 * 24 * 3600


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "costs.json"


def test_what_was_kept_is_found_by_another_that_reads_the_file(path):
    now = time.time()
    RememberedCosts(path).keep("a", Cost(0.25, 2))
    RememberedCosts(path).keep("b", Cost(1.5, 1))
    known = RememberedCosts(path)
    assert known.found("a").cost == Cost(0.25, 2)
    assert known.found("b").cost == Cost(1.5, 1)
    assert now <= known.found("a").measured <= time.time()
    assert known.found("c") is None


def test_a_cost_that_is_measured_again_replaces_the_one_before(path):
    for share in (0.5, 0.7):
        RememberedCosts(path).keep("a", Cost(share, 1))
    assert RememberedCosts(path).found("a").cost == Cost(0.7, 1)


def test_a_cost_is_forgotten_after_a_week(path, monkeypatch):
    RememberedCosts(path).keep("a", Cost(0.5, 1))
    later = time.time() + WEEK
    monkeypatch.setattr(remembered_costs.time, "time", lambda: later - 60)
    assert RememberedCosts(path).found("a")
    monkeypatch.setattr(remembered_costs.time, "time", lambda: later + 60)
    assert RememberedCosts(path).found("a") is None
    RememberedCosts(path).keep("b", Cost(0.5, 1))
    assert list(json.loads(path.read_text())) == ["b"]


WHOLE = {"share": 0.5, "threads": 1, "measured": time.time()}


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"a": {"sha',
        "[1, 2]",
        '{"a": 1, "b": null}',
        json.dumps({"a": {**WHOLE, "share": "0.5"}}),
        json.dumps({"a": {**WHOLE, "share": -1}}),
        json.dumps({"a": {**WHOLE, "share": float("nan")}}),
        json.dumps({"a": {**WHOLE, "threads": 0}}),
        json.dumps({"a": {**WHOLE, "threads": 1.5}}),
        json.dumps({"a": {**WHOLE, "measured": time.time() + WEEK}}),
        json.dumps({"a": {"share": 0.5, "threads": 1}}),
        "\udcff",
        "[" * 100_000,
    ],
    ids=range(13),  # the same in every process, as the time of the contents is not
)
def test_a_damaged_or_foreign_file_is_as_none_and_is_replaced(path, content):
    path.parent.mkdir()
    path.write_bytes(content.encode(errors="surrogateescape"))
    costs = RememberedCosts(path)
    assert costs.found("a") is None
    costs.keep("a", Cost(0.5, 2))
    assert costs.found("a").cost == Cost(0.5, 2)
    assert list(json.loads(path.read_text())) == ["a"]


def test_a_whole_entry_is_found_beside_a_damaged_one(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"a": WHOLE, "b": {**WHOLE, "threads": None}}))
    assert RememberedCosts(path).found("a").cost == Cost(0.5, 1)
    assert RememberedCosts(path).found("b") is None


def test_without_a_file_nothing_is_remembered(tmp_path):
    costs = RememberedCosts(None)
    costs.keep("a", Cost(0.5, 1))
    assert costs.found("a") is None
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_done_without(tmp_path, caplog):
    (tmp_path / "file").touch()
    RememberedCosts(tmp_path / "file" / "costs.json").keep("a", Cost(0.5, 1))
    assert "cannot be written" in caplog.text


def _keep_many(path, name, barrier):
    barrier.wait()
    for i in range(20):
        RememberedCosts(path).keep(f"{name}{i}", Cost(0.5, 1))


def test_processes_that_write_at_once_lose_nothing(path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    workers = [context.Process(target=_keep_many, args=(path, n, barrier)) for n in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    found = RememberedCosts(path)
    assert all(found.found(f"{name}{i}") for name in "ab" for i in range(20))


@pytest.fixture
def sweep(composed, csv_path, tmp_path, monkeypatch, capsys):
    """Sweep over four seeds of a perceptron; return how often it was measured, and what is said."""
    measured = []

    def cost(*_):
        measured.append(shares[0])
        return Cost(shares[0], 1)

    def run_job(job, task):
        return SimpleNamespace(status=fused_sweep.JobStatus.COMPLETED)

    shares = [0.5]
    monkeypatch.setattr(fused_sweep, "fused_cost", cost)
    monkeypatch.setattr(fused_sweep, "train_together", lambda runs: None)
    given = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
    given += ["trainer.accelerator=cpu"]

    def run(*overrides, share=0.5, threads=1, **settings):
        shares[:] = [share]
        measured.clear()
        jobs = [composed("train", *given, f"seed={i}", *overrides) for i in range(4)]
        for i, job in enumerate(jobs):
            OmegaConf.set_struct(job, False)
            place = {"dir": str(tmp_path), "subdir": str(i)}
            job.hydra = {
                "sweep": place,
                "job": {"num": i},
                "overrides": {"task": []},
                "sweeper": {},
            }
            (tmp_path / str(i)).mkdir(exist_ok=True)
        list(FusedSweep(jobs, run_job, None, threads, **settings))
        return len(measured), capsys.readouterr().err

    return run


def test_a_cost_is_measured_once_and_the_user_is_told(sweep, path):
    n, told = sweep(costs=path)
    assert n == 1
    assert "0.50 of the time of one after another (one thread; measured now)" in told
    n, told = sweep(costs=path)
    assert n == 0
    assert f"(one thread; remembered from {time.strftime('%Y-')}" in told


def test_a_sweep_that_does_not_pay_is_told_from_where_that_is_known(sweep, path):
    assert "takes 2.0 times as long here (measured now)" in sweep(costs=path, share=2.0)[1]
    n, told = sweep(costs=path)
    assert n == 0
    assert "takes 2.0 times as long here (remembered from" in told


@pytest.mark.parametrize(
    "changed",
    [
        {"overrides": ["model.hidden=[8]"]},
        {"overrides": ["data.batch_size=50"]},
        {"overrides": ["optim=adamw"]},
        {"overrides": ["threads=2"]},
        {"threads": 2},
    ],
)
def test_another_training_is_measured_for_itself(sweep, path, changed):
    sweep(costs=path)
    assert sweep(*changed.pop("overrides", []), costs=path, **changed)[0] == 1
    assert sweep(costs=path)[0] == 0


def test_other_rates_and_seeds_are_not_measured_again(sweep, path):
    sweep(costs=path)
    assert sweep("optim.lr=0.5", "trainer.max_epochs=3", costs=path)[0] == 0


def test_again_measures_and_remembers_that(sweep, path):
    sweep(costs=path)
    assert sweep(costs=path, measure="again", share=0.7)[0] == 1
    n, told = sweep(costs=path)
    assert n == 0
    assert "takes 0.70 of the time" in told


def test_without_measuring_nothing_is_looked_up(sweep, path):
    sweep(costs=path, share=2.0)
    n, told = sweep(costs=path, measure=False)
    assert n == 0
    assert "trained together\n" in told


@pytest.mark.parametrize(("name", "value"), [("measure", "never"), ("costs", 3), ("costs", "")])
def test_settings_that_break_their_rule_are_named(name, value):
    with pytest.raises(InputError, match=f"hydra.launcher.{name} must be"):
        FusedSweep([], lambda *_: None, None, None, **{name: value})
