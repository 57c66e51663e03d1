"""Jobs of a sweep in their folders, against Hydra's own way to run them."""

import logging
import os
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import OmegaConf, open_dict

from fer_lightning.shell.configuration import CONF, register_resolvers
from fer_lightning.sweeps.launching.running import run_in_place

NOW = "${now:%H%M%S%f}"


@pytest.fixture
def context(monkeypatch):
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    kept = logging.getLogger().handlers[:]
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        setup_globals()
        yield HydraContext(GlobalHydra.instance().config_loader(), Callbacks())
    root = logging.getLogger()
    for handler in set(root.handlers) - set(kept):
        handler.close()
    root.handlers[:] = kept


class Callbacks:
    def __init__(self):
        self.called = []

    def on_job_start(self, config, *, task_function):
        self.called.append(("start", config.hydra.job.num))

    def on_job_end(self, config, job_return):
        self.called.append(("end", job_return.status))


def job_in(folder, *overrides):
    words = [f"hydra.sweep.dir={folder}", "hydra.sweep.subdir='7_${hydra:job.num}'", *overrides]
    job = compose("train", words, return_hydra_config=True)
    with open_dict(job):
        job.hydra.job.num = 3
        job.hydra.job.name = "train"
    return job


def by_hydra(job, task, context):
    return run_job(task, job, "hydra.sweep.dir", "hydra.sweep.subdir", context)


def test_a_job_has_what_hydra_gives_it(context, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = {}
    for name, run in (("hydra", by_hydra), ("own", run_in_place)):

        def task(config):
            logging.getLogger("of.job").info("within")
            hydra = HydraConfig.get()
            return {
                "config": OmegaConf.to_container(config),
                "output": Path(hydra.runtime.output_dir).name,
                "cwd": Path.cwd().name,
                "variable": os.environ.get("OF_JOB"),
                "interpolated": OmegaConf.to_container(hydra.job, resolve=True),
            }

        given = ("optim.lr=0.2", "+hydra.job.env_set.OF_JOB=x", "hydra.job.chdir=true")
        done = run(job_in(tmp_path / name, *given), task, context)
        assert done.status == JobStatus.COMPLETED
        assert Path.cwd() == tmp_path
        assert "OF_JOB" not in os.environ
        assert HydraConfig.instance().cfg is None
        folder = tmp_path / name / "7_3"
        files = {p.name: OmegaConf.to_container(OmegaConf.load(p)) for p in folder.rglob("*.yaml")}
        for hydra in (files["hydra.yaml"]["hydra"], done.return_value["interpolated"]):
            hydra.pop("runtime", None), hydra.pop("sweep", None), hydra.pop("overrides", None)
        files["overrides.yaml"] = files["overrides.yaml"][1:]
        logs = sorted(p.name for p in folder.iterdir())
        told[name] = done.return_value, files, logs, list(done.overrides)[1:], done.task_name
        assert "within" in (folder / "train.log").read_text()
    assert told["own"][0]["cwd"] == "7_3"
    assert told["own"][0]["variable"] == "x"
    assert told["own"] == told["hydra"]
    assert context.callbacks.called == [("start", 3), ("end", JobStatus.COMPLETED)] * 2


def test_a_text_that_could_be_a_number_is_written_as_a_text(context, tmp_path):
    job = job_in(tmp_path, "+hydra.job.env_set.N='1e3'", "+hydra.job.env_set.Y='yes'")
    run_in_place(job, lambda config: None, context)
    written = OmegaConf.load(tmp_path / "7_3" / ".hydra" / "hydra.yaml").hydra.job.env_set
    assert written == {"N": "1e3", "Y": "yes"}


def test_a_job_that_has_begun_goes_on_at_the_same_time_and_writes_its_settings_once(
    context, tmp_path
):
    job = job_in(tmp_path)
    with open_dict(job):
        job.began = NOW
    begun = run_in_place(job, lambda config: config.began, context)
    settings = tmp_path / "7_3" / ".hydra" / "config.yaml"
    settings.write_text("left: as it is")
    done = run_in_place(job, lambda config: config.began, context, begun)
    assert done.return_value == begun.return_value
    assert settings.read_text() == "left: as it is"


def test_a_job_that_fails_returns_its_error_and_leaves_no_trace(context, tmp_path):
    def task(config):
        raise ValueError("no")

    before = Path.cwd()
    done = run_in_place(job_in(tmp_path, "hydra.job.chdir=true"), task, context)
    assert done.status == JobStatus.FAILED
    with pytest.raises(ValueError, match="no"):
        _ = done.return_value
    assert Path.cwd() == before
    assert HydraConfig.instance().cfg is None
