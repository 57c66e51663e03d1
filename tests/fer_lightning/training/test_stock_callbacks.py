"""Lightning's own callbacks from the shell, each for a few epochs."""

import csv

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, TensorDataset

from fer_lightning.data.minibatches import epoch_order
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.optim.optimizers import SGD

pytestmark = pytest.mark.filterwarnings("ignore")
OF_LIGHTNING = "lightning.pytorch.callbacks"


def rows_of(run):
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def last(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def scalars(run):
    return EventAccumulator(str(run)).Reload().Tags()["scalars"]


def mine(name, **settings):
    told = "".join(f",{key}:{value}" for key, value in settings.items())
    return f"+callbacks.mine={{_target_:{OF_LIGHTNING}.{name}{told}}}"


@pytest.mark.parametrize("group", ["early_stopping", "ema", "swa", "lr_monitor", "none", "default"])
def test_each_group_trains(train_here, tmp_path, group):
    train_here("run", f"callbacks={group}", "model=cnn")
    assert len(rows_of(tmp_path / "run")) == 3


def test_several_groups_go_together(train_here, tmp_path):
    train_here("run", "callbacks=[early_stopping,ema]", "callbacks.ema.decay=0.5")
    states = last(tmp_path / "run")["callbacks"]
    assert any("EarlyStopping" in key for key in states)


def test_early_stopping_stops_where_it_does_in_a_plain_script(train_here, tmp_path, csv_path):
    stopping = {"monitor": "val/ce", "mode": "min", "patience": 1, "min_delta": 0.001}
    train_here(
        "run", "callbacks=early_stopping", "trainer.max_epochs=40", "optim.lr=0.3",
        "data.batch_size=4", "engine=lightning",
        *(f"callbacks.early_stopping.{key}={value}" for key, value in stopping.items()),
    )  # fmt: skip
    splits = Fer2013(csv_path).read().in_canonical_order()

    class Loader:
        """Shuffled as the project does it, the one thing a plain script cannot know."""

        epoch = 0
        sampler = property(lambda self: self)

        def set_epoch(self, epoch):
            self.epoch = epoch

        def __len__(self):
            return 4

        def __iter__(self):
            for rows in epoch_order(14, 0, self.epoch).split(4):
                yield splits.train.images[rows], splits.train.labels[rows]

    torch.manual_seed(0)
    model = ExpressionClassifier(MLP(), SGD(lr=0.3))
    pairs = TensorDataset(splits.val.images, splits.val.labels)
    trainer = L.Trainer(
        max_epochs=40, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=[EarlyStopping(**stopping)],
    )  # fmt: skip
    trainer.fit(model, Loader(), DataLoader(pairs, batch_size=512))
    assert 1 < trainer.current_epoch < 40
    assert len(rows_of(tmp_path / "run")) == trainer.current_epoch


def test_a_model_checkpoint_of_lightning_writes_its_own(train_here, tmp_path):
    place = tmp_path / "own"
    train_here("run", mine("ModelCheckpoint", dirpath=place, monitor="val/ce", save_top_k=2))
    assert len(list(place.glob("*.ckpt"))) == 2


def test_the_learning_rate_is_logged(train_here, tmp_path):
    train_here("run", "callbacks=lr_monitor", "schedule=cosine")
    assert "lr-SGD" in scalars(tmp_path / "run")


def test_the_learning_rate_finder_sets_it(train_here, tmp_path):
    finder = mine("LearningRateFinder", num_training_steps=60)
    settings = ("data.batch_size=4", "optim.lr=0.0001", "trainer.max_epochs=20")
    train_here("run", finder, *settings)
    assert last(tmp_path / "run")["optimizer_states"][0]["param_groups"][0]["lr"] != 0.0001


def test_averages_are_what_is_validated_and_kept(train_here, tmp_path):
    common = ["model=cnn", "optim.lr=0.1", "trainer.max_epochs=4", "data.batch_size=4"]
    train_here("ema", "callbacks=ema", "callbacks.ema.decay=0.9", *common)
    train_here("plain", *common)
    ema, plain = (rows_of(tmp_path / name) for name in ("ema", "plain"))
    assert [row["train_ce"] for row in ema] == [row["train_ce"] for row in plain]
    assert [row["val_ce"] for row in ema] != [row["val_ce"] for row in plain]
    best = tmp_path / "ema" / "checkpoints" / "best.ckpt"
    epoch = torch.load(best, weights_only=True)["epoch"]
    model = ExpressionClassifier.load_from_checkpoint(best)
    splits = splits_in(tmp_path)
    with torch.no_grad():
        ce = torch.nn.functional.cross_entropy(model(splits.val.images), splits.val.labels)
    assert ce.item() == pytest.approx(float(ema[epoch]["val_ce"]), rel=1e-5)


def splits_in(tmp_path):
    (path,) = tmp_path.glob("*.csv")
    return Fer2013(path).read()


def test_stochastic_weight_averaging_ends_with_the_average(train_here, tmp_path):
    train_here("run", "callbacks=swa", "callbacks.swa.swa_epoch_start=1", "trainer.max_epochs=4")
    assert any("StochasticWeightAveraging" in key for key in last(tmp_path / "run")["callbacks"])


def test_a_timer_ends_a_run(train_here, tmp_path):
    train_here("run", mine("Timer", duration="'00:00:00:01'"), "trainer.max_epochs=5000")
    assert 0 < len(rows_of(tmp_path / "run")) < 5000


@pytest.mark.parametrize(
    ("name", "shown"),
    [("RichProgressBar", "Epoch 2"), ("ModelSummary", "37.7 K"), ("TQDMProgressBar", "Epoch 2")],
)
def test_callbacks_show_what_they_have(train_here, tmp_path, name, shown, capsys, caplog):
    caplog.set_level("INFO")
    caplog.set_level("INFO", "lightning.pytorch")
    train_here("run", mine(name))
    assert len(rows_of(tmp_path / "run")) == 3
    out, err = capsys.readouterr()
    assert shown in out + err + caplog.text


def test_the_device_is_watched(train_here, tmp_path):
    train_here("run", mine("DeviceStatsMonitor"), "trainer.log_every_n_steps=1")
    assert any(tag.startswith("DeviceStatsMonitor") for tag in scalars(tmp_path / "run"))


def test_an_optimiser_that_computes_losses_itself_is_stepped_by_lightning(train_here, tmp_path):
    given = ["optim._target_=torch.optim.LBFGS", "++optim.lr=0.1", "~optim.momentum"]
    given += ["~optim.weight_decay", "~optim.nesterov"]
    for name, settings in (("lean", []), ("full", ["+trainer.gradient_clip_val=1e9"])):
        train_here(name, *given, *settings)
    lean, full = (last(tmp_path / name)["state_dict"] for name in ("lean", "full"))
    assert all(torch.equal(full[key], weight) for key, weight in lean.items())
    assert float(rows_of(tmp_path / "lean")[-1]["train_ce"]) < 1.9


def test_accumulation_is_scheduled(train_here, tmp_path):
    scheduler = mine("GradientAccumulationScheduler", scheduling="{0:1,1:2}")
    train_here("run", scheduler, "data.batch_size=4")
    assert last(tmp_path / "run")["global_step"] == 4 + 2 + 2


def test_accumulated_minibatches_are_a_larger_one(train_here, tmp_path):
    common = ["+trainer.precision=64-true", "model=cnn", "optim.momentum=0.9"]
    train_here("large", *common, "data.batch_size=12", "engine=lightning")
    train_here("small", *common, "data.batch_size=3", "+trainer.accumulate_grad_batches=4")
    large, small = (last(tmp_path / name)["state_dict"] for name in ("large", "small"))
    for key, weight in large.items():
        torch.testing.assert_close(small[key], weight, rtol=1e-9, atol=1e-12)


def test_gradients_are_clipped_as_by_hand(train_here, tmp_path, csv_path):
    clip = 0.05
    train_here(
        "run", f"+trainer.gradient_clip_val={clip}", "+trainer.precision=64-true", "optim.lr=0.5",
        "data.batch_size=4", "trainer.max_epochs=2",
    )  # fmt: skip
    faces = Fer2013(csv_path).read().in_canonical_order().train
    torch.manual_seed(0)
    model = ExpressionClassifier(MLP()).double()
    norms = []
    for epoch in range(2):
        for rows in epoch_order(14, 0, epoch).split(4):
            model.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(faces.images[rows]), faces.labels[rows])
            loss.backward()
            grads = [p.grad for p in model.parameters()]
            norm = torch.sqrt(sum((g**2).sum() for g in grads))
            norms.append(norm.item())
            scale = min(1.0, clip / (norm.item() + 1e-6))
            with torch.no_grad():
                for p in model.parameters():
                    p -= 0.5 * scale * p.grad
    assert max(norms) > clip
    for key, weight in last(tmp_path / "run")["state_dict"].items():
        torch.testing.assert_close(weight, model.state_dict()[key], rtol=1e-9, atol=1e-12)


def test_the_lean_step_is_lightnings_own(train_here, tmp_path):
    for name, settings in (("lean", []), ("full", ["+trainer.gradient_clip_val=1e9"])):
        train_here(name, "engine=lightning", "data.batch_size=4", "optim.momentum=0.5", *settings)
    lean, full = (last(tmp_path / name) for name in ("lean", "full"))
    assert all(torch.equal(full["state_dict"][k], w) for k, w in lean["state_dict"].items())
    assert lean["loops"] == full["loops"]
    assert lean["global_step"] == full["global_step"] == 12


def test_the_best_is_by_any_metric(train_here, tmp_path):
    train_here(
        "run", "checkpoint.monitor=val/ce", "checkpoint.mode=min", "checkpoint.save_top_k=2",
        "trainer.max_epochs=5", "model=cnn", "optim.lr=1", "data.batch_size=4",
    )  # fmt: skip
    ce = [float(row["val_ce"]) for row in rows_of(tmp_path / "run")]
    order = sorted(range(5), key=ce.__getitem__)
    folder = tmp_path / "run" / "checkpoints"
    kept = [torch.load(folder / f"best{n}.ckpt", weights_only=True)["epoch"] for n in ("", "-2")]
    assert kept == order[:2]
    assert not (folder / "best-3.ckpt").exists()
