"""`hydra/launcher=fused` as users type it."""

import csv

import pytest


def test_a_sweep_under_the_fused_launcher(shell, csv_path, tmp_path):
    folder = tmp_path / "sweep"
    done = shell(
        *("train.py", "-m", "hydra/launcher=fused", "data=fer2013", f"data.path={csv_path}"),
        *("optim.lr=0.01,0.05,-1", "seed=0,1", "optim=sgd", "trainer.max_epochs=2"),
        *(f"hydra.sweep.dir={folder}", f"data.cache_dir={tmp_path / 'cache'}"),
        f"hydra.launcher.costs={tmp_path / 'costs.json'}",
    )
    assert done.returncode == 1, done.stderr
    assert "4 runs (1, 2, 3, 4): trained together" in done.stderr.replace("\n", " ")
    assert "measured now" in done.stderr
    assert (tmp_path / "costs.json").exists()
    assert done.stderr.count("optim.lr must be a number above 0, got -1") == 2
    with (folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done"] * 4 + ["failed"] * 2
    for row in rows[:4]:
        run = folder / row["run"]
        names = {path.name.split(".")[0] for path in run.iterdir()}
        assert names == {"", "checkpoints", "events", "metrics", "summary", "train", "val"}
        assert {p.name for p in (run / ".hydra").iterdir()} == {
            "config.yaml",
            "hydra.yaml",
            "overrides.yaml",
        }
        log = (run / "train.log").read_text()
        assert "MLP with 37,655 parameters" in log
        assert "best by val acc" in log
        assert f"seed={row['seed']}" in (run / ".hydra" / "overrides.yaml").read_text()


def test_a_folder_that_is_named_by_the_time_is_the_same_for_all_that_ask_for_it(
    shell, csv_path, tmp_path
):
    done = shell(
        *("train.py", "-m", "hydra/launcher=fused", "data=fer2013", f"data.path={csv_path}"),
        *("seed=0,1", "trainer.max_epochs=1", "hydra.launcher.measure=false"),
        f"data.cache_dir={tmp_path / 'cache'}",
        f"hydra.sweep.dir={tmp_path}/${{now:%H-%M-%S-%f}}_sweep",
    )
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("*_sweep")
    assert (folder / "summary.csv").exists()


def test_runs_of_their_own_shapes_are_trained_side_by_side(shell, csv_path, tmp_path):
    folder, alone = tmp_path / "sweep", tmp_path / "alone"
    common = ["data=fer2013", f"data.path={csv_path}", f"data.cache_dir={tmp_path / 'cache'}"]
    common += ["trainer.accelerator=cpu", "image_every_n_epochs=0"]
    done = shell(
        *("train.py", "-m", "hydra/launcher=fused", "hydra.launcher.threads=2", *common),
        *("model.hidden=[5],[6]", "trainer.max_epochs=2,3", f"hydra.sweep.dir={folder}"),
    )
    assert done.returncode == 0, done.stderr
    for number in range(1, 5):
        assert f"run ({number}): trained, beside others" in done.stderr
    with (folder / "summary.csv").open() as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert sorted(row["epochs"] for row in rows.values()) == ["2", "2", "3", "3"]
    (last,) = (run for run in rows if run.startswith("4_"))
    done = shell(
        *("train.py", "engine=fused", *common, "model.hidden=[6]", "trainer.max_epochs=3"),
        f"hydra.run.dir={alone}",
    )
    assert done.returncode == 0, done.stderr
    for run in (folder / last, alone):
        with (run / "metrics.csv").open() as file:
            rows[run] = [float(row["val_ce"]) for row in csv.DictReader(file)]
    assert rows[folder / last] == pytest.approx(rows[alone], rel=1e-5)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("memory_gb=0", "hydra.launcher.memory_gb must be"),
        ("threads=0", "hydra.launcher.threads must be"),
    ],
)
def test_settings_that_break_their_rule_are_named(shell, tmp_path, setting, told):
    done = shell(
        *("train.py", "-m", "hydra/launcher=fused", f"hydra.launcher.{setting}", "seed=0,1"),
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
    )
    assert done.returncode == 1
    assert f"hydra.launcher.{setting.partition('=')[0]} must be" in done.stderr
    assert "Traceback" not in done.stderr
