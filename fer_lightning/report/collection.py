"""Everything that the page is about, read from the folders of runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fer_lightning.report.evaluations import Evaluation, evaluations_of
from fer_lightning.report.folders import run_folders
from fer_lightning.report.mixtures import MixtureRun, read_mixture_run
from fer_lightning.report.runs import Run, read_run
from fer_lightning.report.sweeps import Sweep, by_sweep


@dataclass(frozen=True, eq=False)
class Collection:
    """What was found below some folders.

    Attributes:
        runs: Of networks.
        sweeps: The same runs, grouped.
        mixtures: Runs of the mixtures.
        evaluations: Of the networks' runs.
    """

    runs: list[Run]
    sweeps: list[Sweep]
    mixtures: list[MixtureRun]
    evaluations: list[Evaluation]

    @property
    def all_runs(self) -> list[Run | MixtureRun]:
        """The runs of networks, then those of mixtures."""
        return [*self.runs, *self.mixtures]

    def of_kind(self, kind: str) -> list[MixtureRun]:
        """The readable runs of a command of the mixtures, cluster or classify."""
        return [run for run in self.mixtures if run.folder.kind == kind and run.status == "done"]


def collect(paths: Iterable[Path]) -> Collection:
    """Read all runs in or below some folders.

    Raises:
        InputError: A path is no folder, or there is no run in any of them.
    """
    folders = run_folders(paths)
    runs = [read_run(folder) for folder in folders if folder.kind == "train"]
    mixtures = [read_mixture_run(folder) for folder in folders if folder.kind != "train"]
    evaluations = [evaluation for run in runs for evaluation in evaluations_of(run)]
    return Collection(runs, by_sweep(runs), mixtures, evaluations)
