"""A run takes the device that Lightning's Trainer would take."""

import lightning as L
import pytest
import torch

from fer_lightning.errors import InputError
from fer_lightning.training.assembly import device_of


@pytest.mark.filterwarnings("ignore:GPU available but not used")
@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_here_it_is_lightnings(accelerator):
    trainer = L.Trainer(accelerator=accelerator, devices=1, logger=False)
    assert device_of(accelerator) == trainer.strategy.root_device


@pytest.mark.parametrize(
    ("accelerator", "cuda", "mps", "device"),
    [
        ("auto", True, False, "cuda:0"),
        ("auto", False, True, "mps:0"),
        ("auto", False, False, "cpu"),
        ("gpu", True, False, "cuda:0"),
        ("gpu", False, True, "mps:0"),
        ("cuda", True, False, "cuda:0"),
        ("mps", False, True, "mps:0"),
        ("cpu", True, True, "cpu"),
        ("tpu", True, True, "cpu"),
    ],
)
def test_it_is_what_pytorch_finds(monkeypatch, accelerator, cuda, mps, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device_of(accelerator) == torch.device(device)


@pytest.mark.parametrize(("accelerator", "cuda"), [("gpu", False), ("cuda", False), ("mps", True)])
def test_a_device_that_is_not_there_is_a_mistake(monkeypatch, accelerator, cuda):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"accelerator must be one that PyTorch finds"):
        device_of(accelerator)
