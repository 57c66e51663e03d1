"""What the sweepers of this project share: the sweep's folder, its space, and its numbered jobs."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from fer_lightning.errors import require
from fer_lightning.runs import (
    PAUSE,
    RESUME,
    quoted,
    run_name,
    run_number,
    run_summary,
    swept_keys,
    without_resume,
)
from fer_lightning.sweeps.searching.space import Space, space_of


class OwnSweeper(Sweeper):
    """Chooses runs, launches some of them, and goes on by what came of these.

    Args:
        params: What varies, as `hydra.sweeper.params` of Hydra's own sweeper.
    """

    hydra_context: HydraContext
    config: DictConfig
    launcher: Launcher

    def __init__(self, params: Mapping[str, Any] | None) -> None:
        self.params = dict(params or {})

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        name = config.hydra.runtime.choices["hydra/sweeper"]
        rule = "be basic for any command but train.py"
        require(config.hydra.job.name == "train", "hydra/sweeper", rule, name)
        subdir = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"]  # type: ignore[call-overload, index]
        rule = f"be left as it is for hydra/sweeper={name}"
        require(str(subdir).startswith("${run_name:"), "hydra.sweep.subdir", rule, subdir)
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.console = Console(stderr=True, soft_wrap=True)

    @property
    def folder(self) -> Path:
        """Return the folder of the sweep."""
        return Path(self.config.hydra.sweep.dir)

    def sweep(self, arguments: list[str]) -> None:
        for word in arguments:
            require(not word.startswith(PAUSE), "pause", "be left to hydra/sweeper", word)
        loader = self.hydra_context.config_loader
        space = space_of(self.params, without_resume(arguments), loader)
        self.resume = [word for word in arguments if word.startswith(RESUME)]
        plan = self.plan(space)
        self._require_legal(space)
        self.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, self.folder / "multirun.yaml")
        self.search(plan)

    @abstractmethod
    def plan(self, space: Space) -> Any:
        """Check the settings, and return what `search` needs."""

    @abstractmethod
    def search(self, plan: Any) -> None:
        """Launch runs until there are no more."""

    def composed(self, job: Sequence[str]) -> DictConfig:
        """Return the configuration of a job with these overrides."""
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(job))

    def folders(self) -> dict[int, Path]:
        """Return the folders of the runs that have begun, by their numbers from 0."""
        begun = [path.parent for path in self.folder.glob("*/.hydra")]
        return {run_number(folder) - 1: folder for folder in begun}

    def summaries(self, numbers: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Return the content of the summaries of runs; empty for those that have none."""
        folders = self.folders()
        return {n: run_summary(folders[n]) if n in folders else {} for n in numbers}

    def launch(self, jobs: Mapping[int, Sequence[str]]) -> None:
        """Run jobs, each in the folder of its number; those that have begun go on.

        Args:
            jobs: By number, from 0, their overrides.
        """
        begun, keys = self.folders(), swept_keys(self.folder)
        told = []
        for number, overrides in jobs.items():
            name = run_name(number, overrides, keys)
            name = begun[number].name if number in begun else name
            goes_on = [f"{RESUME}{quoted(str(self.folder.absolute()))}"] if number in begun else []
            words = [*overrides, *(self.resume or goes_on)]
            told.append([*words, f"hydra.sweep.subdir={quoted(name)}"])
        self.launcher.launch(told, min(jobs, default=0))

    def say(self, text: str) -> None:
        """Print a line for the user."""
        self.console.print(text, markup=False, highlight=False)

    def _require_legal(self, space: Space) -> None:
        """Raise Hydra's error if a value of a setting, whichever, cannot be composed."""
        first = [dimension.first for dimension in space.dimensions]
        batch = [space.overrides(first)]
        for i, dimension in enumerate(space.dimensions):
            if "." not in dimension.key:  # an option of a group may be missing
                options = (dimension.options or ())[1:]
                batch += [space.overrides([*first[:i], o, *first[i + 1 :]]) for o in options]
        self.validate_batch_is_legal(batch)
