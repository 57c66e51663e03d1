"""One of the runs that are trained together, with its position and its files."""

from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils._pytree import tree_map_only

from fer_lightning.data import EVALUATION_BATCH, ResidentFaces
from fer_lightning.runs import Stored, loops_after, write_checkpoint
from fer_lightning.training import ExpressionNetwork, Run, configured, log_figures


class Driver:
    """Drives one of the runs that are trained together, as if it was trained by itself.

    What writes the files of a run is called as Lightning's loop would call it, and finds here the
    network, faces, metrics and position: what it writes is what a run of its own leaves.

    Args:
        run: A run that has begun, with its network on the device of the training.
        optimizer: The optimiser of the network, with a state that follows the training.

    Attributes:
        max_epochs: Number of epochs after which the training ends.
        should_stop: Whether it ends before its last epoch.
        callback_metrics: The metrics of the last epoch.
    """

    def __init__(self, run: Run, optimizer: Optimizer) -> None:
        self.run, self.optimizer = run, optimizer
        optimizer._opt_called = True  # type: ignore[attr-defined]  # what schedulers look for
        self.max_epochs: int = run.config.trainer.max_epochs
        self.should_stop = False
        self.callback_metrics: dict[str, Tensor] = {}
        splits = run.datamodule.splits
        self._steps = -(-len(splits.train) // run.datamodule.batch_size)
        self._validations = -(-len(splits.val) // EVALUATION_BATCH)
        self._trained = 0  # epochs, of which the last may not be over
        self._scheduler: LRScheduler | None = None
        self._monitor: str | None = None
        schedule = run.model.schedule
        if schedule is not None:
            told = configured(schedule, optimizer, self._steps, self._steps * self.max_epochs)
            self._scheduler, self._monitor = told["scheduler"], told.get("monitor")

    @property
    def model(self) -> ExpressionNetwork:
        """Return the network."""
        return self.run.model

    @property
    def datamodule(self) -> ResidentFaces:
        """Return the faces."""
        return self.run.datamodule

    @property
    def epoch(self) -> int:
        """Return the number of epochs that are over."""
        return self.run.epochs

    current_epoch = epoch

    @property
    def has_ended(self) -> bool:
        """Return whether the network has diverged, or its last epoch is over."""
        return self.should_stop or self.epoch == self.max_epochs

    def start(self) -> None:
        """Begin the training, from the run's checkpoint if it has one."""
        for watcher in self.run.watchers:
            watcher.setup()
        if self.run.stored:
            self._restore(self.run.stored)
        for watcher in self.run.watchers:
            watcher.on_train_start(self)

    def start_epoch(self) -> None:
        """Begin an epoch."""
        for watcher in self.run.watchers:
            watcher.on_train_epoch_start(self)

    @property
    def is_scheduled(self) -> bool:
        """Return whether the learning rate changes."""
        return self._scheduler is not None

    def rates(self) -> list[float]:
        """Return the learning rates of the steps of the epoch that begins, and go on in them."""
        (group,) = self.optimizer.param_groups
        if self._scheduler is None or self._waits or self.has_ended:
            return [group["lr"]] * self._steps
        rates = []
        for _ in range(self._steps):
            rates.append(group["lr"])
            self._scheduler.step()
        return rates

    @property
    def _waits(self) -> bool:
        """Return whether the scheduler waits for a metric, at the end of an epoch."""
        return isinstance(self._scheduler, ReduceLROnPlateau)

    def end_epoch(self, metrics: dict[str, Tensor]) -> None:
        """End an epoch with its metrics, such as `val/ce`."""
        self._trained += 1
        self.callback_metrics.update(metrics)
        figures = {name: value.item() for name, value in metrics.items()}
        log_figures(self.run.loggers.each, figures, self.epoch, self._trained * self._steps - 1)
        for watcher in self.run.watchers:
            watcher.on_validation_end(self)
        for watcher in self.run.watchers:
            watcher.on_train_epoch_end(self)
        if self._waits:
            self._scheduler.step(metrics[str(self._monitor)])  # type: ignore[arg-type, union-attr]
        self.run.epochs += 1
        if self.has_ended:
            for watcher in self.run.watchers:
                watcher.on_train_end(self)

    def snapshot(self) -> dict[str, Any]:
        """Return a checkpoint for `load_from_checkpoint`, with copies of the weights."""
        return self.model.snapshot(self.epoch, self._trained * self._steps)

    def save_checkpoint(self, path: Path) -> None:
        """Write a checkpoint as Lightning's Trainer writes it."""
        # copies: a view would be saved with the tensor of all models
        states = tree_map_only(Tensor, Tensor.clone, self.optimizer.state_dict())
        watchers = {type(each).__qualname__: each.state_dict() for each in self.run.watchers}
        content = {
            **self.snapshot(),
            "loops": loops_after(self._trained, self._steps, self._validations, self._rated),
            "callbacks": {name: state for name, state in watchers.items() if state},
            "optimizer_states": [states],
            "lr_schedulers": [self._scheduler.state_dict()] if self._scheduler else [],
        }
        if self._waits and self._trained > self.epoch:  # it hears of this epoch's after this
            content["plateau"] = self.callback_metrics[str(self._monitor)].clone()
        write_checkpoint(content, path)

    @property
    def _rated(self) -> tuple[int, int]:
        """Return how often the scheduler has stepped in all, and in the last epoch."""
        if self._scheduler is None:
            return 0, 0
        if self._waits:
            return self.epoch, 1 - (self._trained - self.epoch)
        return self._trained * self._steps, self._steps

    def _restore(self, stored: Stored) -> None:
        """Restore watchers and position from a checkpoint; the training has its state already."""
        for watcher in self.run.watchers:
            if type(watcher).__qualname__ in stored.content["callbacks"]:
                watcher.load_state_dict(stored.of_callback(type(watcher).__qualname__))
        self.run.epochs = self._trained = stored.epoch
        if self._scheduler is not None:
            (state,) = stored.content["lr_schedulers"]
            self._scheduler.load_state_dict(state)
            for group, lr in zip(self.optimizer.param_groups, state["_last_lr"], strict=True):
                group["lr"] = lr
            if "plateau" in stored.content:  # what it had not heard of yet
                self._scheduler.step(stored.content["plateau"])
