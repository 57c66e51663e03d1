import csv
import json

import pytest

from fer_lightning.sweeps.ranking import rank

COLUMNS = ["train_ce", "train_acc", "val_ce", "val_acc", "best_epoch"]
COLUMNS += ["last_val_ce", "last_val_acc", "epochs", "seconds"]


@pytest.fixture
def sweep(tmp_path):
    """Writes what a sweep leaves; `runs` are overrides and best validation accuracy of each."""

    def write(task, runs, params="{}"):
        lines = (
            f"hydra:\n  overrides:\n    task: {json.dumps(task)}\n  sweeper:\n    params: {params}"
        )
        (tmp_path / "multirun.yaml").write_text(lines)
        for number, (overrides, acc, ending) in enumerate(runs, 1):
            run = tmp_path / f"{number}_{'_'.join(overrides).replace('=', '-')}"
            (run / ".hydra").mkdir(parents=True)
            (run / ".hydra" / "overrides.yaml").write_text(json.dumps(overrides))
            if ending == "unfinished":
                rows = ["1,1,0.2,1.5,0.25,2", "2,1,0.3,1.25,0.5,1", "3,1,0.4,1.75,0.5,1.5"]
                curves = ["epoch,train_ce,train_acc,val_ce,val_acc,seconds", *rows]
                (run / "metrics.csv").write_text("\n".join(curves) + "\n")
                (run / "train.log").write_text(
                    "[2026-01-01 00:00:00,000][fer_lightning.jobs][INFO] run 1 of 2\n"
                )
            elif ending == "failed":
                told = "[2026-01-01 00:00:00,000][fer_lightning.jobs][ERROR] failed: no; /run\n"
                (run / "train.log").write_text(told)
            else:
                summary = summary_of(acc, ending == "diverged")
                (run / "summary.json").write_text(json.dumps(summary))
        return tmp_path

    return write


def summary_of(acc, diverged):
    """Figures that can be told apart; a run without accuracy had no epoch at all."""
    best = {"epoch": 2, "train": {"ce": 0.5, "acc": 0.875}, "val": {"ce": 1.25, "acc": acc}}
    nothing = {"ce": None, "acc": None}
    if acc is None:
        best = {"epoch": None, "train": nothing, "val": nothing}
    final = {"epoch": 3, "val": nothing if diverged else {"ce": 1.5, "acc": 0.25}}
    return {"best": best, "final": final, "epochs": 3, "seconds": 4.5, "diverged": diverged}


def table_of(text):
    """Lines with one space between cells."""
    return [" ".join(line.split()) for line in text.splitlines()]


def csv_of(folder):
    with (folder / "summary.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_best_run_is_first_and_those_without_an_end_are_last(sweep, capsys):
    runs = [(["optim.lr=0.1"], 0.5, "done"), (["optim.lr=9"], None, "failed")]
    runs += [(["optim.lr=2"], 0.9, "diverged"), (["optim.lr=0.2"], 0.75, "done")]
    folder = sweep(["optim.lr=0.1,9,2,0.2", "data.path=here"], runs)
    rank(folder)
    rows = csv_of(folder)
    assert [row["optim.lr"] for row in rows] == ["0.2", "0.1", "2", "9"]
    assert [row["status"] for row in rows] == ["done", "done", "diverged", "failed"]
    assert list(rows[0]) == ["run", "optim.lr", "status", *COLUMNS]
    assert rows[0]["run"] == "4_optim.lr-0.2"
    first = [float(rows[0][column]) for column in COLUMNS]
    assert first == [0.5, 0.875, 1.25, 0.75, 2, 1.5, 0.25, 3, 4.5]
    assert [rows[2][column] for column in COLUMNS[5:7]] == ["", ""]
    assert {rows[3][column] for column in COLUMNS} == {""}
    shown = table_of(capsys.readouterr().out)[-4:]
    assert [line[0] for line in shown] == ["4", "1", "3", "2"]
    assert shown[0] == "4 0.2 0.5000 87.50% 1.2500 75.00% 2 25.00% 4.5 done"
    assert shown[3] == "2 9 - - - - - - - failed"


def test_a_run_that_was_cut_off_tells_its_epochs_so_far(sweep):
    runs = [(["seed=0"], None, "failed"), (["seed=1"], None, "unfinished")]
    folder = sweep(["seed=0,1"], runs)
    rank(folder)
    rows = csv_of(folder)
    assert [row["status"] for row in rows] == ["unfinished", "failed"]
    expected = ["", "", "1.25", "0.5", "2", "1.75", "0.5", "3", "4.5"]
    assert [rows[0][column] for column in COLUMNS] == expected


def test_seeds_and_folds_are_told_by_their_mean_and_spread(sweep, capsys):
    accs = {("0.1", "0"): 0.4, ("0.1", "1"): 0.6, ("0.2", "0"): 0.55, ("0.2", "1"): 0.75}
    runs = [([f"optim.lr={lr}", f"seed={seed}"], acc, "done") for (lr, seed), acc in accs.items()]
    runs += [(["optim.lr=0.3", "seed=0"], 0.9, "done")]
    runs += [(["optim.lr=0.3", "seed=1"], None, "diverged")]
    rank(sweep(["seed=0,1"], runs, params="{optim.lr: '0.1,0.2,0.3'}"))
    shown = capsys.readouterr().out
    assert "mean and standard deviation over seed" in shown
    # two values a and b have the standard deviation |a - b| / sqrt(2)
    assert table_of(shown)[-3:] == [
        "0.2 2 65.00% ± 14.14% 1.2500 ± 0.0000",
        "0.1 2 50.00% ± 14.14% 1.2500 ± 0.0000",
        "0.3 1 of 2 90.00% 1.2500",
    ]


def test_a_sweep_without_seeds_and_folds_has_one_table(sweep, capsys):
    rank(sweep(["optim.lr=0.1,0.2"], [(["optim.lr=0.1"], 0.5, "done")]))
    assert "mean" not in capsys.readouterr().out


def test_a_value_on_the_command_line_ends_the_sweep_of_its_key(sweep):
    params = "{optim.lr: '0.1,0.2', model.hidden: '[2,4],[8]'}"
    runs = [(["model.hidden=[2,4]", "optim.lr=0.3"], 0.5, "done")]
    folder = sweep(["optim.lr=0.3", "+trainer.precision=16,32"], runs, params)
    rank(folder)
    (row,) = csv_of(folder)
    assert list(row)[1:4] == ["model.hidden", "trainer.precision", "status"]
    assert row["model.hidden"] == "[2,4]"


def test_values_in_brackets_are_shown_as_they_are(sweep, capsys):
    runs = [(["data.leave_out=[contempt]"], 0.5, "done"), (["data.leave_out=[]"], 0.25, "done")]
    rank(sweep(["data.leave_out=[contempt],[]"], runs))
    shown = table_of(capsys.readouterr().out)[-2:]
    assert [line.split()[1] for line in shown] == ["[contempt]", "[]"]
