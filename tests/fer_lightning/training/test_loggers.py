"""What Weights & Biases, MLflow and Lightning's csv hold of a sweep, by their own readers."""

import csv
import json

import lightning as L
import pytest
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_lightning.data import FaceDataModule, Fer2013
from fer_lightning.errors import InputError
from fer_lightning.networks import MLP
from fer_lightning.training import ExpressionClassifier, TensorBoard

pytestmark = pytest.mark.filterwarnings("ignore")


def rows_of(run):
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def sweep(csv_path, shell, tmp_path):
    """A sweep of three runs in a process of its own; returns their folders."""

    def run(*settings, launcher=()):
        place = tmp_path / "swept"
        command = ["train.py", "-m", "optim.lr=0.01,0.02,0.03", "data=fer2013", "threads=1"]
        command += [f"data.path={csv_path}", "data.cache_dir=null", "trainer.max_epochs=2"]
        command += ["image_every_n_epochs=0", f"hydra.sweep.dir={place}", *launcher, *settings]
        done = shell(*command, new=True)
        assert done.returncode == 0, done.stderr
        return sorted(path.parent for path in place.glob("*/summary.json"))

    return run


def records_in(path):
    """The records of a file of Weights & Biases, which is a log of LevelDB after seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, parts, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:  # the end of a block is filled with zeros
            at += left
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(parts)
            found.append(record)
            parts = b""
    return found


TOGETHER = ("hydra/launcher=fused", "hydra.launcher.measure=false")


@pytest.mark.parametrize("launcher", [(), TOGETHER], ids=["one by one", "together"])
def test_wandb_has_a_run_for_each(sweep, launcher):
    pytest.importorskip("wandb")

    for folder in sweep(
        "logger=[wandb,tensorboard]", "logger.wandb.offline=true", launcher=launcher
    ):
        (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
        records = records_in(path)
        (run,) = [r.run for r in records if r.WhichOneof("record_type") == "run"][:1]
        assert (run.display_name, run.run_group) == (folder.name, "swept")
        updates = [run.config.update, *(r.config.update for r in records if r.HasField("config"))]
        config = {u.key: json.loads(u.value_json) for update in updates for u in update}
        summary = json.loads((folder / "summary.json").read_text())
        assert config["optim.lr"] == summary["settings"]["optim.lr"]
        history = [
            {i.key or i.nested_key[0]: json.loads(i.value_json) for i in r.history.item}
            for r in records
            if r.HasField("history")
        ]
        for name in ("train/ce", "val/ce", "val/acc"):
            logged = [row[name] for row in history if name in row]
            ours = [float(row[name.replace("/", "_")]) for row in rows_of(folder)]
            assert logged == pytest.approx(ours)
        final = {
            i.key or i.nested_key[0]: json.loads(i.value_json)
            for r in records
            if r.HasField("summary")
            for i in r.summary.update
        }
        assert final["best/val_acc"] == pytest.approx(summary["best"]["val"]["acc"])
        (ended,) = [r.exit for r in records if r.HasField("exit")]
        assert ended.exit_code == 0


@pytest.mark.parametrize("launcher", [(), TOGETHER], ids=["one by one", "together"])
def test_mlflow_has_a_run_for_each(sweep, tmp_path, launcher):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    place = f"sqlite:///{tmp_path}/mlflow.db"
    settings = [f"logger.mlflow.tracking_uri={place}"]
    settings += [f"logger.mlflow.artifact_location={tmp_path}/artifacts"]
    folders = sweep("logger=mlflow", *settings, launcher=launcher)
    client = MlflowClient(place)
    experiment = client.get_experiment_by_name("fer_lightning")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert len(runs) == 3
    for folder in folders:
        run = runs[folder.name]
        summary = json.loads((folder / "summary.json").read_text())
        assert run.info.status == "FINISHED"
        assert run.data.tags["sweep"] == "swept"
        assert float(run.data.params["optim.lr"]) == summary["settings"]["optim.lr"]
        assert run.data.metrics["final/test_ce"] == pytest.approx(summary["final"]["test"]["ce"])
        logged = [m.value for m in client.get_metric_history(run.info.run_id, "val/ce")]
        assert logged == pytest.approx([float(row["val_ce"]) for row in rows_of(folder)])


def test_lightnings_table_stands_in_the_folder_of_the_run(train_here, tmp_path):
    train_here("run", "logger=[csv,tensorboard]", "trainer.log_every_n_steps=1")
    (path,) = (tmp_path / "run" / "csv").rglob("metrics.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    theirs = [float(row["val/ce"]) for row in rows if row["val/ce"]]
    ours = [float(row["val_ce"]) for row in rows_of(tmp_path / "run")]
    assert theirs == pytest.approx(ours)
    assert any(row["train/loss_step"] for row in rows)


def test_without_a_logger_there_are_no_events(train_here, tmp_path):
    train_here("run", "logger=none")
    assert not list((tmp_path / "run").rglob("*tfevents*"))
    assert rows_of(tmp_path / "run")


def test_without_an_account_one_line_says_so(train_here, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(InputError, match=r"No API key.*logger\.wandb\.offline=true"):
        train_here("run", "logger=wandb")


def test_a_trainer_of_ones_own_logs_to_tensorboard(csv_path, tmp_path):
    board = TensorBoard(tmp_path / "run")
    trainer = L.Trainer(
        max_epochs=2, accelerator="cpu", logger=board, num_sanity_val_steps=0,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        callbacks=[LearningRateMonitor(), ModelCheckpoint(tmp_path / "kept")],
    )  # fmt: skip
    trainer.fit(ExpressionClassifier(MLP()), datamodule=FaceDataModule(Fer2013(csv_path)))
    board.flush()
    assert "lr-SGD" in EventAccumulator(str(tmp_path / "run")).Reload().Tags()["scalars"]
    scalars = EventAccumulator(str(tmp_path / "run" / "val")).Reload().Scalars("ce")
    assert [event.step for event in scalars] == [1, 2]


def test_tensorboard_has_all_that_lightning_asks_of_a_logger():
    asked = {name for name in dir(Logger) if not name.startswith("_")}
    assert asked <= set(dir(TensorBoard))
