"""A job of a sweep, run as Hydra runs it, in a third of the time that it takes beside its task.

Hydra copies all settings of a job four times, each time for some milliseconds, and writes them with
the slow one of PyYAML's two emitters.
"""

import copy
import os
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, configure_log, env_override
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf._utils import OmegaConfDumper

from fer_lightning.runs import task_settings

_Emitter: Any = getattr(yaml, "CDumper", yaml.Dumper)  # some builds have the slow one alone


class _Dumper(_Emitter):  # type: ignore[misc]
    """Writes YAML as `OmegaConf.to_yaml` does."""


_Dumper.add_representer(str, OmegaConfDumper.str_representer)


def run_in_place(
    job: DictConfig, task: TaskFunction, context: HydraContext, begun: JobReturn | None = None
) -> JobReturn:
    """Call a function as the task of a job: with its folder, its log and its environment.

    Args:
        job: The configuration of the job, with Hydra's part, in which its folder is noted.
        task: The function.
        context: Of the sweep.
        begun: What this has returned for a function that began the job, if one did: then the
            settings are not written again, and what was the time then is it still.
    """
    hydra, before = HydraConfig.instance(), Path.cwd()
    of_sweep = hydra.cfg
    try:
        # Hydra takes a copy of its part, tied to the rest for what refers to that
        hydra.cfg = job  # type: ignore[assignment]  # typed as what is within
        done = copy.copy(begun) if begun else _prepared(job)
        os.chdir(str(done.working_dir))
        configure_log(job.hydra.job_logging, job.hydra.verbose)
        with env_override(job.hydra.job.env_set):
            context.callbacks.on_job_start(config=job, task_function=task)
            try:
                done.return_value = task(done.cfg)
                done.status = JobStatus.COMPLETED
            except Exception as error:
                done.return_value, done.status = error, JobStatus.FAILED
        context.callbacks.on_job_end(config=job, job_return=done)
    finally:
        hydra.cfg = of_sweep
        os.chdir(before)
    return done


def _prepared(job: DictConfig) -> JobReturn:
    """Make the folder of a job with the files of its settings; return what its task is given."""
    folder = (Path(job.hydra.sweep.dir) / job.hydra.sweep.subdir).absolute()
    with read_write(job.hydra), open_dict(job.hydra):
        job.hydra.runtime.output_dir = os.path.normpath(folder)
    OmegaConf.set_readonly(job.hydra, True)
    folder.mkdir(parents=True, exist_ok=True)
    task = task_settings(job)
    OmegaConf.copy_cache(job, task)  # the time that names of folders have
    made = JobReturn(
        overrides=list(job.hydra.overrides.task),
        cfg=task,
        hydra_cfg=job,
        working_dir=str(folder if job.hydra.job.chdir else Path.cwd()),
        task_name=JobRuntime.instance().get("name"),
    )
    if job.hydra.output_subdir is not None:
        settings = folder / job.hydra.output_subdir
        settings.mkdir(parents=True, exist_ok=True)
        of_hydra = {"hydra": _plain(job.hydra)}
        files = {"config": _plain(task), "hydra": of_hydra, "overrides": made.overrides}
        for name, content in files.items():
            (settings / f"{name}.yaml").write_text(_yaml(content), encoding="utf-8")
    return made


def _plain(config: DictConfig) -> object:
    return OmegaConf.to_container(config, enum_to_str=True)


def _yaml(content: object) -> str:
    """Return what `OmegaConf.to_yaml` returns."""
    style = {"default_flow_style": False, "allow_unicode": True, "sort_keys": False}
    return yaml.dump(content, Dumper=_Dumper, **style)
