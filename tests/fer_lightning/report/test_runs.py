import json

import pytest

from fer_lightning.report.runs import RunFolder, read_run


def read(path, sweep=None):
    return read_run(RunFolder(path, "train", sweep))


def test_a_run_that_is_done_tells_the_figures_of_its_summary(write_run):
    run = read(write_run("a", val_acc=(0.3, 0.5, 0.4), val_ce=(1.9, 1.5, 1.6)))
    assert (run.status, run.problem, run.model) == ("done", None, "mlp")
    assert run.score("best", "val", "acc") == 0.5
    assert run.score("final", "test", "ce") == pytest.approx(1.7)
    assert (run.n_epochs, run.seconds) == (3, 6.5)
    assert run.convergence.near_best == 2


def test_a_run_without_a_summary_tells_its_curves_so_far(write_run):
    path = write_run("a", overrides=["optim.lr=0.1", "model.hidden=[4,8]", "+trainer.x=a b"])
    (path / "summary.json").unlink()
    run = read(path)
    assert run.status == "unfinished"
    assert run.settings == {"optim.lr": 0.1, "model.hidden": [4, 8], "trainer.x": "a b"}
    assert (run.score("best", "val", "acc"), run.score("final", "val", "acc")) == (0.5, 0.4)
    assert run.score("best", "test", "acc") is None
    assert run.seconds == 6.0


def test_without_a_summary_it_has_failed_if_its_log_ends_so(write_run):
    path = write_run("s/0_run")
    (path / "summary.json").unlink()
    log = path / "train.log"
    log.write_text("[2026-01-01 00:00:00,000][fer_lightning.shell.jobs][INFO] run 1 of 2: seed=0\n")
    assert read(path).status == "unfinished"
    with log.open("a") as file:
        file.write(
            "[2026-01-01 00:00:01,000][fer_lightning.shell.jobs][ERROR] failed: no; faces; /a/b\n"
        )
        file.write("Traceback (most recent call last):\n")
        file.write("[2026-01-01 00:00:01,500][submitit][INFO] Job completed successfully\n")
    assert read(path).status == "failed"
    assert read(path).folder.failure == "no; faces"
    with log.open("a") as file:
        file.write("[2026-01-01 00:00:02,000][fer_lightning.training.run][INFO] goes on\n")
    assert read(path).status == "unfinished"


def test_a_run_that_only_began_has_nothing_to_tell(tmp_path):
    run = read(tmp_path)
    assert (run.status, run.n_epochs, run.seconds) == ("unfinished", None, None)
    assert run.score("best", "val", "acc") is None


def test_a_diverged_run_has_no_figures(write_run):
    nothing = {"epoch": None, "val": {"ce": None, "acc": None}}
    run = read(write_run("a", diverged=True, best=nothing))
    assert (run.status, run.score("best", "val", "acc")) == ("diverged", None)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("summary.json", "{", "summary.json cannot be read: Expecting"),
        ("summary.json", "[]", "summary.json must hold an object, got list"),
        ("summary.json", "[" * 100_000, "summary.json cannot be read: "),
        ("metrics.csv", "epoch\n1\n", "metrics.csv must have the columns epoch,train_ce"),
        (".hydra/overrides.yaml", "- [", "overrides.yaml cannot be read: "),
    ],
)
def test_damage_is_told_and_the_rest_is_read(write_run, name, content, words):
    path = write_run("a")
    (path / name).write_text(content)
    run = read(path)
    assert run.status == "damaged"
    assert run.problem.startswith(words)
    assert run.score("best", "val", "acc") == 0.5


def test_a_summary_without_its_curves_is_damage(write_run):
    path = write_run("a")
    (path / "metrics.csv").unlink()
    assert read(path).problem == "metrics.csv cannot be read: No such file or directory"


@pytest.mark.parametrize("value", ["0.5", True, None, [0.5], float("nan"), float("inf")])
def test_what_is_no_figure_is_left_out(write_run, value):
    run = read(write_run("a", best={"val": {"acc": value}}, settings=["x"], n_parameters={}))
    assert run.score("best", "val", "acc") is None


def test_settings_of_overrides_are_data_and_never_code(write_run):
    path = write_run("a")
    text = json.dumps(["x=!!python/object/apply:os.getcwd []"])
    (path / ".hydra" / "overrides.yaml").write_text(text)
    assert read(path).settings["x"] == "!!python/object/apply:os.getcwd []"
