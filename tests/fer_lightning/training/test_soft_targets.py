"""Training with votes for labels, against cross-entropies by hand."""

import lightning as L
import torch

from fer_lightning.data.datamodule import FaceDataModule
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.losses import CrossEntropy
from fer_lightning.training.optim.optimizers import SGD


class Voted:
    """A source of nine faces in each split, which people see differently."""

    name = "voted"

    def files(self):
        return []

    def read(self):
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (9, 1, 48, 48), dtype=torch.uint8, generator=generator)
        votes = torch.rand(9, 7, generator=generator)
        targets = votes / votes.sum(1, keepdim=True)
        numbers = torch.arange(9)
        faces = Faces(images, targets.argmax(1), numbers - 100, numbers, targets)
        return FaceSplits(faces, faces, faces)


def test_a_step_follows_the_cross_entropy_against_the_votes():
    torch.manual_seed(0)
    model = ExpressionClassifier(MLP(hidden=[5]), SGD(lr=0.5), loss=CrossEntropy()).double()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    data = FaceDataModule(Voted(), batch_size=9)
    faces = data.splits.train

    logits = model(faces.images)
    log_proba = logits - logits.exp().sum(1, keepdim=True).log()
    loss = sum(-(p * q).sum() for p, q in zip(faces.targets, log_proba, strict=True)) / 9
    gradients = torch.autograd.grad(loss, list(model.parameters()))

    trainer = L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=data)
    for (name, p), gradient in zip(model.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(p.detach(), start[name] - 0.5 * gradient, rtol=1e-6, atol=1e-9)
    shown = trainer.callback_metrics["train/ce"]
    torch.testing.assert_close(shown.double(), loss.detach(), rtol=1e-5, atol=0)
    right = (logits.argmax(1) == faces.targets.argmax(1)).double().mean()
    assert trainer.callback_metrics["train/acc"].item() == right.item()
