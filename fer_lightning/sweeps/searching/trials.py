"""The trials of a search in optuna's storage, in the folder of the sweep."""

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fer_lightning.errors import InputError, one_line
from fer_lightning.sweeps.searching.samplers_pruners import distributions_of
from fer_lightning.sweeps.searching.space import Space, Span, Value

if TYPE_CHECKING:  # optuna is an extra, and takes a while to import
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

STORAGES = {"journal": "optuna.journal", "sqlite": "optuna.db"}
Direction = Literal["maximize", "minimize"]
_OF_STUDY = "of_study"  # under which a trial keeps what its sampler has stored beside the trials


def storage_in(folder: Path, kind: str) -> "BaseStorage":
    """Return optuna's storage in the folder of a sweep.

    Args:
        folder: Of the sweep.
        kind: `journal`, a file that several machines can write to, or `sqlite`.
    """
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    path = folder / STORAGES[kind]
    if kind == "sqlite":
        return RDBStorage(f"sqlite:///{path.absolute()}")
    return JournalStorage(JournalFileBackend(str(path)))


class Trials:
    """The trials of a search.

    What is asked follows from the trials so far, the seed and the number of the trial alone, and is
    stored whole or not at all: a search can be cut off anywhere.

    Args:
        folder: Of the sweep.
        kind: Of the storage.
        space: What varies.
        directions: Of the objectives, `maximize` or `minimize`.
        sampler: Returns the sampler of a trial, by its number.
        pruner: Who stops trials.

    Raises:
        InputError: The storage that is there cannot be read, or is of another search.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        space: Space,
        directions: Sequence[Direction],
        sampler: "Callable[[int], BaseSampler]",
        pruner: "BasePruner",
    ) -> None:
        import optuna

        self.space, self.sampler, self.pruner = space, sampler, pruner
        self._directions = list(directions)
        self._distributions = distributions_of(space)
        if kind == "journal":
            _cut_half_written(folder / STORAGES[kind])
        try:
            storage = storage_in(folder, kind)
            names = optuna.get_all_study_names(storage)
            self.study = optuna.create_study(
                storage=storage,
                study_name=names[0] if names else folder.name,
                directions=self._directions,
                sampler=optuna.samplers.RandomSampler(),  # the study itself is never asked
                pruner=pruner,
                load_if_exists=True,
            )
            self.study.get_trials(deepcopy=False)
        except Exception as error:  # each storage has its own
            told = f"{folder / STORAGES[kind]}: cannot be read ({one_line(error)[:200]})"
            raise InputError(told) from error

    def __len__(self) -> int:
        return len(self.study.get_trials(deepcopy=False))

    def running(self) -> "list[FrozenTrial]":
        """Return the trials that have been asked for and not told yet."""
        from optuna.trial import TrialState

        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def ask(self, n: int) -> "list[FrozenTrial]":
        """Return n further trials, which are stored as running ones."""
        from optuna.trial import TrialState, create_trial

        scratch = self._scratch() if n else None
        for _ in range(n):
            assert scratch is not None
            number = len(scratch.get_trials(deepcopy=False))
            scratch.sampler = self.sampler(number)
            scratch.ask(self._distributions)
            asked = scratch.get_trials(deepcopy=False)[-1]
            beside = scratch._storage.get_study_system_attrs(scratch._study_id)
            whole = create_trial(
                state=TrialState.RUNNING,
                params=self._readable(asked.params),
                distributions=asked.distributions,
                system_attrs={**asked.system_attrs, _OF_STUDY: dict(beside)},
            )
            self.study.add_trial(whole)
        return self.study.get_trials(deepcopy=False)[len(self) - n :] if n else []

    def overrides(self, trial: "FrozenTrial") -> list[str]:
        """Return the overrides of a trial's run."""
        values = [trial.params[dimension.key.lstrip("+")] for dimension in self.space.dimensions]
        return self.space.overrides(values)

    def tell(self, number: int, values: Sequence[float] | None, *, pruned: bool = False) -> None:
        """Store how a trial has ended.

        Args:
            number: Of the trial.
            values: Its objectives, or None of one that has failed or was pruned.
            pruned: Whether it was.
        """
        from optuna.trial import TrialState

        ended = TrialState.PRUNED if pruned else TrialState.COMPLETE
        state = TrialState.FAIL if values is None and not pruned else ended
        self.study.tell(number, None if pruned else values, state=state)

    def _scratch(self) -> "Study":
        """Return a copy of the study in memory, with what its sampler has stored beside it."""
        import optuna

        trials = self.study.get_trials(deepcopy=False)  # the storage copies them
        copied = optuna.create_study(
            study_name=self.study.study_name, directions=self._directions, pruner=self.pruner
        )
        storage = copied._storage
        for trial in trials:
            storage.create_new_trial(copied._study_id, trial)
        beside: Mapping[str, Any] = trials[-1].system_attrs.get(_OF_STUDY, {}) if trials else {}
        for key, value in beside.items():
            storage.set_study_system_attr(copied._study_id, key, value)
        return copied

    def _readable(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return the parameters with numbers that people can read and type."""
        spans = {d.key.lstrip("+"): d for d in self.space.dimensions if isinstance(d, Span)}
        return {
            name: spans[name].rounded(float(value)) if name in spans else value
            for name, value in params.items()
        }


class PrunedTrials:
    """Reports the epochs of the runs of a search to its storage, and asks the pruner for each.

    Args:
        folder: Of the sweep.
        kind: Of the storage.
        pruner: Who decides.
        objective: The metric that is reported.
    """

    def __init__(self, folder: Path, kind: str, pruner: "BasePruner", objective: str) -> None:
        import optuna

        self.storage, self.objective = storage_in(folder, kind), objective
        (name,) = optuna.get_all_study_names(self.storage)
        self.study = optuna.load_study(study_name=name, storage=self.storage, pruner=pruner)
        self._study_id = self.storage.get_study_id_from_name(name)

    def judge(self, number: int) -> Callable[[int, Mapping[str, float]], str | None]:
        """Return who reports the epochs of a trial's run."""
        return functools.partial(self._report, number)

    def _report(self, number: int, epoch: int, means: Mapping[str, float]) -> str | None:
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        self.storage.set_trial_intermediate_value(trial_id, epoch, means[self.objective])
        trial = copy.copy(self.storage.get_trial(trial_id))
        # a run that was killed and begins anew has reported later epochs, too
        so_far = {at: value for at, value in trial.intermediate_values.items() if at <= epoch}
        trial.intermediate_values = so_far
        if not self.study.pruner.prune(self.study, trial):
            return None
        return f"at epoch {epoch} by {type(self.study.pruner).__name__}"


def _cut_half_written(path: Path) -> None:
    """Cut off the line of a journal at which its writer was killed."""
    if not path.exists():
        return
    whole = path.read_bytes().rpartition(b"\n")
    if whole[2]:
        with path.open("r+b") as file:
            file.truncate(len(whole[0]) + len(whole[1]))
