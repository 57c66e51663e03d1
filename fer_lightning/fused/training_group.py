"""Runs whose networks are trained as one, with what drives each of them."""

from collections.abc import Sequence

import torch
from torch import nn

from fer_lightning.fused.compiling import Compilation
from fer_lightning.fused.driver import Driver
from fer_lightning.fused.engine import FusedTraining, Means, sharing
from fer_lightning.fused.membership import members
from fer_lightning.runs import as_now
from fer_lightning.training import Run

COMPILE = {"auto": None, True: True, False: False}
_LEFT = 0.75  # networks that have ended are left out when no more than this share of all goes on


class TrainingGroup:
    """Runs whose networks are trained as one.

    Args:
        runs: See `train_together`.

    Attributes:
        drivers: Of all runs.
        riding: Of those whose networks are in the training.
        training: Of these.
        compilation: Whether its steps are compiled.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        for run in runs:
            if run.stored:
                as_now(run.stored.content)
                run.model.load_state_dict(run.stored.content["state_dict"])
        self.training = FusedTraining(members(runs), runs[0].datamodule.batch_size)
        for m, run in enumerate(runs):
            if run.stored:
                states = run.stored.content["optimizer_states"]
                self.training.optimizer.load(m, states[0]["state"])
        _tie(self.training, runs)
        self.drivers = [
            Driver(run, self.training.optimizer.of_model(m, run.model.parameters()))
            for m, run in enumerate(runs)
        ]
        self.riding = self.drivers
        for driver in self.drivers:
            if len(runs) > 1 and driver.run.image_log.every_n_epochs is None:
                # pictures of many runs would take nearly as long as their training
                driver.run.image_log.every_n_epochs = 0
            driver.start()
            driver.run.epoch_log.together |= len(runs) > 1
        self._compile = COMPILE[runs[0].config.compile]
        self.compilation = Compilation(self.training, self._compile)

    @property
    def has_ended(self) -> bool:
        """Return whether no network goes on."""
        return all(driver.has_ended for driver in self.drivers)

    @property
    def checkpoint_is_due(self) -> bool:
        """Return whether it is time to write the checkpoints."""
        return self._first.run.checkpoints.is_due

    @property
    def _first(self) -> Driver:
        return next(driver for driver in self.riding if not driver.has_ended)

    def leave_out_the_ended(self) -> None:
        """Go on with the networks that have not ended, where a training of these is faster."""
        if not self._is_worth_fewer():
            return
        self.riding = [driver for driver in self.riding if not driver.has_ended]
        runs = [driver.run for driver in self.riding]
        self.training = FusedTraining(members(runs), self.training.batch_size)
        for m, driver in enumerate(self.riding):
            self.training.optimizer.load(m, driver.optimizer.state_dict()["state"])
        _tie(self.training, runs)
        for m, driver in enumerate(self.riding):
            self.training.optimizer.share_state(m, driver.optimizer)
        self.compilation = Compilation(self.training, self._compile)

    def _is_worth_fewer(self) -> bool:
        """Return whether a training of the networks that have not ended would be faster.

        It has to be set up, and one in which fewer share their minibatches could be slower.
        """
        training, drivers = self.training, self.riding
        left = [training.members[m] for m, driver in enumerate(drivers) if not driver.has_ended]
        shared = sharing(left)
        as_shared = shared > 1 or training.n_shared == 1 or 2 * len(left) <= len(drivers)
        return 0 < len(left) <= _LEFT * len(drivers) and as_shared

    def start_epoch(self, share: float) -> None:
        """Begin an epoch, of whose time each run has a share."""
        for driver in self.riding:
            driver.run.epoch_log.share = share
            if not driver.has_ended:
                driver.start_epoch()
        if any(driver.is_scheduled for driver in self.riding):
            rates = [torch.tensor(driver.rates(), dtype=torch.float64) for driver in self.riding]
            padded = torch.nn.utils.rnn.pad_sequence(rates)
            self.training.optimizer.use_rates(padded.to(self.training.dtype))

    def train_epoch(self) -> tuple[Means, Means]:
        """Train for an epoch; return the means of training and validation."""
        return self.training.train_epoch(self._first.epoch), self.training.validate()

    def end_epoch(self, train: Means, val: Means, is_due: bool) -> None:
        """End an epoch with its means, and write the checkpoints if that is due."""
        for m, driver in enumerate(self.riding):
            if driver.has_ended:
                continue
            driver.run.checkpoints.wanted = is_due  # so that all can go on from one epoch
            driver.end_epoch(_metrics(train, val, m))
            if driver.has_ended:
                _untie(driver.run.model)


def _tie(training: FusedTraining, runs: Sequence[Run]) -> None:
    """Make the weights of every network views of those that are trained together."""
    stacks = zip(training.network.names, training.network.parameters, strict=True)
    for name, stack in stacks:
        for m, run in enumerate(runs):
            run.model.network.get_parameter(name).data = stack[m]


def _untie(network: nn.Module) -> None:
    """Give a network whose training has ended its own copy of its weights."""
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()


def _metrics(train: Means, val: Means, m: int) -> dict[str, torch.Tensor]:
    return {
        f"{split}/{name}": getattr(means, name)[m]
        for split, means in (("train", train), ("val", val))
        for name in ("ce", "acc")
    }
