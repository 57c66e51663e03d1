import lightning as L
import pytest
import torch

from fer_lightning.data.datamodule import FaceDataModule
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.by_lightning.callbacks import SavingWithin
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.callbacks.checkpoints import Checkpoints
from fer_lightning.training.optim.optimizers import SGD


def fit(csv_path, max_epochs, folder, last=None, every_seconds=10.0):
    torch.manual_seed(0)
    model = ExpressionClassifier(MLP(), SGD(lr=0.05, momentum=0.9))
    trainer = L.Trainer(
        max_epochs=max_epochs,
        accelerator="cpu",
        logger=False,
        callbacks=[SavingWithin(Checkpoints(folder, every_seconds))],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, datamodule=FaceDataModule(Fer2013(csv_path), batch_size=4), ckpt_path=last)
    return model


def test_going_on_from_the_last_checkpoint_gives_the_uninterrupted_network(csv_path, tmp_path):
    whole = fit(csv_path, 6, tmp_path / "whole")
    fit(csv_path, 3, tmp_path / "first")
    rest = fit(csv_path, 6, tmp_path / "rest", tmp_path / "first" / "last.ckpt")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, rest.state_dict()[name])


# after each of four steps and at the end of each epoch, or at the end of the training alone
@pytest.mark.parametrize(
    ("seconds", "epochs"), [(0, [0] * 5 + [1] * 5 + [2] * 4 + [3]), (1e9, [3])]
)
def test_files_are_written_every_so_many_seconds_and_at_the_end(
    csv_path, tmp_path, monkeypatch, seconds, epochs
):
    written = []
    save = L.Trainer.save_checkpoint

    def noted(self, path):
        written.append(self.current_epoch)
        save(self, path)

    monkeypatch.setattr(L.Trainer, "save_checkpoint", noted)
    fit(csv_path, 3, tmp_path, every_seconds=seconds)
    assert written == epochs
