"""Groups that are too large for memory, and groups that fail."""

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from fer_lightning.errors import InputError
from fer_lightning.fused.cost import Cost
from fer_lightning.sweeps.launching import fused_sweep as module
from fer_lightning.sweeps.launching.fused_sweep import FusedSweep
from fer_lightning.sweeps.launching.memory import waves


@pytest.mark.parametrize(
    ("orders", "n_fitting", "expected"),
    [
        ("aaabbb", 6, [[0, 1, 2, 3, 4, 5]]),
        ("aaabbb", 5, [[0, 1, 2], [3, 4, 5]]),
        ("aaabbbccc", 7, [[0, 1, 2, 3, 4, 5], [6, 7, 8]]),
        ("aaaaabb", 2, [[0, 1], [2, 3], [4], [5, 6]]),
        ("abc", 2, [[0, 1], [2]]),
        ("abc", 1, [[0], [1], [2]]),
    ],
)
def test_waves_fit_and_keep_those_together_that_share_minibatches(orders, n_fitting, expected):
    assert list(waves(list(enumerate(orders)), n_fitting)) == expected


def test_a_group_that_fails_leaves_its_jobs_failed_and_the_others_to_go_on(
    composed, csv_path, tmp_path, monkeypatch, capsys
):
    def broken(runs):
        if type(runs[0].model.network).__name__ == "CNN":
            raise RuntimeError("out of memory")

    def run_job(job, task):
        task(job)
        return SimpleNamespace(status=module.JobStatus.COMPLETED)

    given = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
    given += ["trainer.accelerator=cpu", "threads=1"]
    jobs = []
    for i, model in enumerate(["cnn", "cnn", "mlp", "mlp"]):
        job = composed("train", *given, f"model={model}", f"seed={i}")
        place = {"dir": str(tmp_path), "subdir": str(i)}
        OmegaConf.set_struct(job, False)
        job.hydra = {"sweep": place, "job": {"num": i}, "overrides": {"task": []}, "sweeper": {}}
        (tmp_path / str(i)).mkdir()
        jobs.append(job)
    monkeypatch.setattr(module, "train_together", broken)
    monkeypatch.setattr(module, "fused_cost", lambda *_: Cost(0.5, 1))
    failing, sound = (r for r in FusedSweep(jobs, run_job, None, 1) if r.finish)
    assert "RuntimeError: out of memory" in capsys.readouterr().err
    assert list(failing.jobs) == [0, 1]
    for finish in failing.finish.values():
        with pytest.raises(InputError, match="the training of its group failed"):
            finish()
    assert list(sound.jobs) == [2, 3]
