"""What all networks share: the steps of training and evaluation."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

from fer_lightning.data import Batch, Minibatches
from fer_lightning.errors import InputError
from fer_lightning.runs import read_checkpoint, restored
from fer_lightning.training.optimizers import OptimizerSettings


class EpochMeans(Metric):
    """Mean cross-entropy (`ce`, nats) and accuracy (`acc`, in [0, 1]) of the faces of an epoch."""

    full_state_update = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(3), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add faces by their logits, (N, 7), and labels, (N,)."""
        ce = F.cross_entropy(logits, labels, reduction="sum")
        n_right = (logits.argmax(-1) == labels).sum()
        self.sums = self.sums + torch.stack((ce, n_right, ce.new_tensor(len(labels))))

    def compute(self) -> dict[str, Tensor]:
        """Return the means over all faces so far."""
        ce, acc = self.sums[:2] / self.sums[2]
        return {"ce": ce, "acc": acc}


class ExpressionClassifier(L.LightningModule):
    """A network from faces to logits of the seven expressions, trained by cross-entropy.

    Logs `train/ce`, `train/acc`, `val/ce`, `val/acc`, `test/ce` and `test/acc`, each the mean over
    the faces of an epoch. Training means are taken while the weights change, minibatch after
    minibatch.

    Args:
        optimizer: Settings of the optimiser.

    Attributes:
        layers: The network itself.
    """

    layers: nn.Sequential

    def __init__(self, optimizer: OptimizerSettings) -> None:
        super().__init__()
        self.optimizer = optimizer
        # One training step loops over many minibatches: Lightning's work around a step, which
        # rivals that of a small network, is then paid for once for all of them.
        self.automatic_optimization = False
        self._outputs: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        self._n_done = 0  # minibatches of this epoch
        self._n_to_pass = 0  # those of them that were done before the run was cut off
        self._means = EpochMeans()

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits, (B, 7), of faces in [0, 1], (B, 1, 48, 48)."""
        return self.layers(images)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of faces.

        Args:
            images: Grey levels, (B, 1, 48, 48): integers 0..255, or floats in [0, 1].

        Returns:
            Unnormalised log-probabilities of the classes, (B, 7).
        """
        if not images.is_floating_point():
            images = images.to(self.dtype).div_(255)
        return self.logits(images)

    def configure_optimizers(self) -> Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: Minibatches | Batch, batch_idx: int) -> None:
        """Take one optimiser step for each minibatch of a batch."""
        n_minibatches = len(batch) if isinstance(batch, Minibatches) else 1
        passed = min(self._n_to_pass, n_minibatches)
        if passed:
            self._n_to_pass -= passed
            logits, labels = self._outputs["train"][0]
            self._outputs["train"][0] = (logits.to(self.device), labels.to(self.device))
            if passed == n_minibatches:
                return
            assert isinstance(batch, Minibatches)
            batch = batch.after(passed)
        backward, step = self._backward_and_step()
        parameters = list(self.parameters())
        minibatches: Iterable[Batch] = batch if isinstance(batch, Minibatches) else [batch]
        sizes = batch.sizes if isinstance(batch, Minibatches) else [len(batch[1])]
        for (images, labels), n in zip(minibatches, sizes, strict=True):
            logits = self(images)
            for parameter in parameters:
                parameter.grad = None
            backward(self._loss(logits, labels, n))
            step()
            self._outputs["train"].append((logits.detach(), labels))
            self._n_done += 1

    def _loss(self, logits: Tensor, labels: Tensor, n: int) -> Tensor:
        """Return a loss whose mean over all processes is the mean cross-entropy of n faces.

        The n faces are the whole minibatch, of which each process has a part.
        """
        n_processes = self.trainer.world_size
        if n_processes == 1:
            return F.cross_entropy(logits, labels)
        # DDP takes the mean of the gradients over the processes, however few faces one has.
        return F.cross_entropy(logits, labels, reduction="sum") * (n_processes / n)

    def _backward_and_step(self) -> tuple[Callable[[Tensor], None], Callable[[], object]]:
        """Return the functions that compute gradients and take an optimiser step.

        They are PyTorch's own, or Lightning's where the loss is scaled or several processes train:
        Lightning's call hooks of all callbacks, which slows a small network down.
        """
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        scales = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        if scales or self.trainer.world_size > 1:
            return self.manual_backward, optimizer.step
        take_step = optimizer.optimizer.step
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress

        def step() -> None:
            progress.increment_ready()  # what `trainer.global_step` counts
            take_step()
            progress.increment_completed()

        return Tensor.backward, step

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        self._outputs["val"].append((self(images), labels))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        self._outputs["test"].append((self(images), labels))

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train")
        self._n_done = 0

    def on_validation_epoch_end(self) -> None:
        self._log_epoch("val")

    def on_test_epoch_end(self) -> None:
        self._log_epoch("test")

    def _log_epoch(self, split: str) -> None:
        """Log the means over an epoch: one update of the metric for all of its minibatches."""
        logits, labels = map(torch.cat, zip(*self._outputs.pop(split), strict=True))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # from half precision
        self._means.update(logits, labels)
        means = {f"{split}/{name}": mean for name, mean in self._means.compute().items()}
        self._means.reset()
        if self.trainer.loggers:
            self.log_dict(means)
        else:  # what `log` does for callbacks alone, at a fraction of its cost
            self.trainer.callback_metrics.update(means)

    def epoch_so_far(self) -> dict[str, Any]:
        """Return the state, beside the weights, that a run needs to go on within this epoch.

        It is the number of minibatches that are done, and the logits and labels of their faces.
        """
        logits, labels = map(torch.cat, zip(*self._outputs["train"], strict=True))
        return {"minibatches": self._n_done, "logits": logits, "labels": labels}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        so_far = checkpoint.get("epoch_so_far")
        if so_far:
            self._outputs["train"] = [(so_far["logits"], so_far["labels"])]
            self._n_done = self._n_to_pass = so_far["minibatches"]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["network"] = type(self).__name__

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # Lightning's takes addresses and unpickles
        cls, checkpoint_path: str | Path, **settings: Any
    ) -> Self:
        """Return the network in a checkpoint file, on the CPU, in evaluation mode.

        Args:
            checkpoint_path: The file; nothing in it can run code.
            settings: Arguments of the class that are not stored, such as `optimizer`.

        Raises:
            InputError: It cannot be read, or holds another network.
        """
        stored = read_checkpoint(Path(checkpoint_path))
        try:
            return restored(cls, stored, **settings)
        except (TypeError, KeyError, RuntimeError, ValueError, AttributeError) as error:
            rule = f"must hold a {cls.__name__}"
            raise InputError(f"{checkpoint_path}: the checkpoint {rule}") from error


@torch.no_grad()
def initialise(layers: nn.Sequential) -> None:
    """Draw weights as in the study: Normal(0, 0.1^2), in the last layer 0.01^2; biases are 0."""
    weighted = [layer for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]
    for layer in weighted:
        layer.weight.normal_(0, 0.01 if layer is weighted[-1] else 0.1)
        layer.bias.zero_()  # type: ignore[union-attr]
