"""How a network is trained and evaluated, whatever network it is."""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from fer_lightning.data import Batch, FaceDataModule, ShareOfBatch, TrainLoader
from fer_lightning.errors import InputError
from fer_lightning.runs import as_now, read_checkpoint, restored_network
from fer_lightning.training.augmenting.views import as_evaluated
from fer_lightning.training.by_lightning.lean import remember_signature
from fer_lightning.training.epoch_means import EpochMeans
from fer_lightning.training.expression_network import STUDY, ExpressionNetwork, Loss
from fer_lightning.training.loggers import log_figures
from fer_lightning.training.losses import CrossEntropy
from fer_lightning.training.optim.optimizers import OptimizerSettings
from fer_lightning.training.optim.schedules import Schedule, configured
from fer_lightning.training.random_state import set_random_state


class ExpressionClassifier(ExpressionNetwork, L.LightningModule):
    """A network from faces to logits of the seven expressions, trained by any loss and optimiser.

    Logs `train/ce`, `train/acc`, `val/ce`, `val/acc`, `test/ce` and `test/acc`, each the mean over
    the faces of an epoch. Training means are taken while the weights change, minibatch after
    minibatch.

    Args:
        network: From faces in [0, 1], (B, 1, H, W), to logits, (B, 7).
        optimizer: From parameters to an optimiser, as `SGD(lr=0.1)` of this package or
            `functools.partial(torch.optim.NAdam, lr=0.001)`.
        schedule: How its learning rate changes, as `Cosine()` of this package or a partial of a
            scheduler of PyTorch that steps once an epoch; None for a constant one.
        loss: What is minimised, from logits and labels to the mean over a minibatch.
        log_steps: Whether to log the loss of a minibatch too, as `train/loss_step`, each time that
            `Trainer(log_every_n_steps=...)` says.
        tta: How faces are evaluated: `flip` takes the mean of the probabilities of a face and of
            its mirror image, `ten_crop` of ten views, moved by a pixel or not and mirrored or
            not; None takes the face as it is.
        contrast: How grey levels, integers, are prepared: `equalise` spreads those of each face
            evenly; None leaves them as they are.
        smooth: Whether faces are evaluated as smooth as sampling between pixels makes those that
            are moved in training. Training sets it by the augmentation of a `FaceDataModule`.

    Attributes:
        settings: The arguments that the class of the network was made with, for checkpoints.
    """

    # which Lightning remembers, rather than looking at the weights in each step
    dtype = L.LightningModule.dtype  # type: ignore[assignment]
    device = L.LightningModule.device

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerSettings = STUDY,
        schedule: Schedule | None = None,
        loss: Loss = F.cross_entropy,
        log_steps: bool = True,
        tta: str | None = None,
        contrast: str | None = None,
        smooth: bool = False,
    ) -> None:
        super().__init__(network, optimizer, schedule, loss, tta, contrast, smooth)
        self.log_steps = log_steps
        self._outputs: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        self._weighs = self._resident = False
        self._plateau: Tensor | None = None  # what a schedule has not heard of yet
        self._random: dict[str, Tensor] | None = None  # where dropout goes on
        self._means = EpochMeans()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":  # which Lightning sets dozens of times in a step
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def _on_before_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:
        return batch if self._resident else super()._on_before_batch_transfer(batch, dataloader_idx)

    def _apply_batch_transfer_handler(
        self, batch: Any, device: torch.device | None = None, dataloader_idx: int = 0
    ) -> Any:
        if self._resident:  # on the device already, where Lightning would look for it at each step
            return batch
        return super()._apply_batch_transfer_handler(batch, device, dataloader_idx)

    @property
    def lr(self) -> float:
        """The learning rate, which Lightning's `LearningRateFinder` sets.

        Raises:
            AttributeError: The optimiser has none of its own.
        """
        found = getattr(self.optimizer, "keywords", None) or vars(self.optimizer)
        if "lr" not in found:
            raise AttributeError("the optimiser has no learning rate of its own")
        return float(found["lr"])

    @lr.setter
    def lr(self, lr: float) -> None:
        if isinstance(self.optimizer, functools.partial):
            self.optimizer = functools.partial(self.optimizer, lr=lr)
        else:
            self.optimizer = dataclasses.replace(self.optimizer, lr=lr)  # type: ignore[type-var]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimizer(self.parameters())
        if self.schedule is None:
            return optimizer
        # the steps of all epochs, for which Lightning asks the data
        n_steps, trainer = self.trainer.estimated_stepping_batches, self.trainer
        steps_per_epoch = -(-int(trainer.num_training_batches) // trainer.accumulate_grad_batches)
        scheduler = configured(self.schedule, optimizer, steps_per_epoch, n_steps)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}  # type: ignore[return-value]

    def on_fit_start(self) -> None:
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(datamodule, FaceDataModule):
            return
        self.smooth = getattr(datamodule.augment, "moves", False)
        if isinstance(self.loss, CrossEntropy):
            self.loss.balance(datamodule.splits.train.class_counts())

    def on_train_epoch_start(self) -> None:
        trainer = self.trainer
        random, self._random = self._random, None
        if random is not None:
            set_random_state(random, self.device)
        of_faces = isinstance(trainer.train_dataloader, TrainLoader)
        self._resident = of_faces and isinstance(trainer.datamodule, FaceDataModule)  # type: ignore[attr-defined]
        self._weighs = of_faces and trainer.accumulate_grad_batches * trainer.world_size > 1
        self._outputs["train"] = [
            (logits.to(self.device), labels.to(self.device))
            for logits, labels in self._outputs["train"]
        ]

    @remember_signature
    def training_step(self, batch: Batch | ShareOfBatch, batch_idx: int) -> Tensor:
        images, labels = batch[:2]
        logits = self(images)
        self._outputs["train"].append((logits.detach(), labels))
        loss = (
            self._weighted(logits, batch, batch_idx) if self._weighs else self.loss(logits, labels)
        )
        if self.log_steps and self.trainer._logger_connector.should_update_logs:
            self.log("train/loss_step", loss)
        return loss

    def _weighted(self, logits: Tensor, batch: Batch | ShareOfBatch, batch_idx: int) -> Tensor:
        """Return a loss so that each face counts the same, however minibatches are divided."""
        trainer, labels = self.trainer, batch[1]
        loader = trainer.train_dataloader
        assert isinstance(loader, TrainLoader)
        n_batches, accumulated = int(trainer.num_training_batches), trainer.accumulate_grad_batches
        weight = loader.weight(batch_idx, n_batches, accumulated)
        if isinstance(batch, ShareOfBatch):  # DDP takes the mean over the processes
            weight *= len(labels) * trainer.world_size / batch.n
        # the loss of no faces is no number
        return self.loss(logits, labels) * weight if len(labels) else logits.sum()

    @remember_signature
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("test", batch)

    def _evaluate(self, split: str, batch: Batch) -> None:
        images, labels = batch
        self._outputs[split].append((self.evaluated(images), labels))

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train")

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
        if self.trainer.state.fn == TrainerFn.FITTING:
            log_epoch(self.trainer, means, self.trainer.current_epoch)
        else:
            self.log_dict(means)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if not getattr(self.trainer.train_dataloader, "passes", False):
            super().lr_scheduler_step(scheduler, metric)

    def on_train_start(self) -> None:
        """Tell a schedule that waits for a metric of the epoch after which the run goes on."""
        plateau, self._plateau = self._plateau, None
        if plateau is not None:
            for config in self.trainer.lr_scheduler_configs:
                if config.reduce_on_plateau:
                    self.lr_scheduler_step(config.scheduler, plateau)

    def epoch_so_far(self) -> dict[str, Any]:
        """Return the state, beside the weights, that a run needs to go on within this epoch.

        It is the number of minibatches that are done, and the logits and labels of their faces.
        """
        logits, labels = map(torch.cat, zip(*self._outputs["train"], strict=True))
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        return {"minibatches": done, "logits": logits, "labels": labels}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        as_now(checkpoint)
        so_far = checkpoint.get("epoch_so_far")
        if so_far:
            self._outputs["train"] = [(so_far["logits"], so_far["labels"])]
            datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
            assert isinstance(datamodule, FaceDataModule)
            datamodule.done = so_far["minibatches"]
        self._plateau = checkpoint.get("plateau")
        self._random = checkpoint.get("random")

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # Lightning's takes addresses and unpickles
        cls, checkpoint_path: str | Path, **settings: Any
    ) -> Self:
        """Return the network in a checkpoint file, on the CPU, in evaluation mode.

        Args:
            checkpoint_path: The file; nothing in it can run code. A network that is none of this
                project's is made by the class that it names, as Python finds it.
            settings: Arguments of the class that are not stored, such as `optimizer`.

        Raises:
            InputError: It cannot be read, or holds no network that can be made here.
        """
        stored = read_checkpoint(Path(checkpoint_path))
        try:
            return cls(restored_network(stored), **{**as_evaluated(stored), **settings}).eval()
        except (TypeError, KeyError, RuntimeError, ValueError, AttributeError) as error:
            rule = "must hold a network that can be made here"
            raise InputError(f"{checkpoint_path}: the checkpoint {rule}") from error


def log_epoch(trainer: L.Trainer, means: Mapping[str, Tensor], epoch: int) -> None:
    """Tell callbacks and loggers the means of an epoch.

    It is what `LightningModule.log_dict` comes to at the end of an epoch, at a fraction of its
    cost, which small networks notice.

    Args:
        trainer: Whose callbacks and loggers.
        means: Under the names that they have in Lightning.
        epoch: From 0.
    """
    trainer.callback_metrics.update(means)
    figures = {name: mean.item() for name, mean in means.items()}
    trainer.progress_bar_metrics.update(figures)
    log_figures(trainer.loggers, figures, epoch, trainer.global_step - 1)
