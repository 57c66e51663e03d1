"""Settings of Lightning's Trainer from the shell do what Lightning says."""

import csv
import json
import logging

import pytest
import torch

from fer_lightning.errors import InputError

CALLBACKS = "lightning.pytorch.callbacks"


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def stored(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def test_early_stopping_stops(train_here, tmp_path):
    # an accuracy never rises by 2, so that the second epoch is one too many
    stopping = (
        f"{{_target_:{CALLBACKS}.EarlyStopping,monitor:val/acc,mode:max,min_delta:2,patience:1}}"
    )
    train_here("run", f"+trainer.callbacks=[{stopping}]", "trainer.max_epochs=9")
    run = tmp_path / "run"
    assert [row["epoch"] for row in rows_of(run / "metrics.csv")] == ["1", "2"]
    assert json.loads((run / "summary.json").read_text())["epochs"] == 2


def test_one_callback_needs_no_list(train_here, tmp_path):
    timer = f"{{_target_:{CALLBACKS}.Timer,duration:'00:01:00:00'}}"
    train_here("run", f"+trainer.callbacks={timer}")
    assert "Timer" in stored(tmp_path / "run")["callbacks"]


def test_a_logger_logs_what_metrics_csv_says(train_here, tmp_path):
    target = "lightning.pytorch.loggers.CSVLogger"
    train_here("run", f"+trainer.logger={{_target_:{target},save_dir:{tmp_path / 'logs'}}}")
    (path,) = (tmp_path / "logs").rglob("metrics.csv")
    logged = rows_of(path)
    ours = rows_of(tmp_path / "run" / "metrics.csv")
    for name in ("train/ce", "train/acc", "val/ce", "val/acc"):
        theirs = [float(row[name]) for row in logged if row[name]]
        assert theirs == pytest.approx([float(row[name.replace("/", "_")]) for row in ours])


@pytest.mark.parametrize(
    ("setting", "steps"),
    [
        ("+trainer.limit_train_batches=1", 3),  # one in each of three epochs
        ("+trainer.max_steps=5", 5),  # of the twelve in three epochs of four minibatches
        ("+trainer.limit_train_batches=0.5", 6),
    ],
)
def test_a_step_is_a_minibatch(train_here, tmp_path, setting, steps):
    train_here("run", setting, "data.batch_size=4")
    assert stored(tmp_path / "run")["global_step"] == steps


def test_a_network_overfits_a_minibatch(train_here, tmp_path):
    # on other faces every time it is still above 1 by then
    overfit = ["+trainer.overfit_batches=1", "data.batch_size=4", "optim.lr=0.05"]
    train_here("run", *overfit, "trainer.max_epochs=60", "model=cnn")
    assert float(rows_of(tmp_path / "run" / "metrics.csv")[-1]["train_ce"]) < 0.1


def test_a_profiler_reports(train_here, caplog):
    caplog.set_level(logging.INFO)
    train_here("run", "+trainer.profiler=simple", "trainer.max_epochs=1")
    assert "Profiler Report" in caplog.text


@pytest.mark.parametrize(("name", "tf32"), [("highest", False), ("high", True)])
def test_the_precision_of_float32_products_is_pytorchs(train_here, name, tf32, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", not tf32)
    train_here("run", f"float32_matmul_precision={name}", "trainer.max_epochs=1")
    try:
        assert torch.get_float32_matmul_precision() == name
        assert torch.backends.cudnn.allow_tf32 == tf32
    finally:
        torch.set_float32_matmul_precision("highest")


def test_no_other_precision_is_taken(train_here):
    told = "float32_matmul_precision must be one of highest, high, medium, got 'tf32'"
    with pytest.raises(InputError, match=f"^{told}$"):
        train_here("run", "float32_matmul_precision=tf32")
