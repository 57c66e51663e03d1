"""Kills at random moments; `python -m benchmarks.faults` has more of them."""

import random

import pytest

from benchmarks.faults import cases, check, kill_and_resume, left, write_faces


@pytest.fixture
def case(request, tmp_path):
    """What is killed, on a few faces."""
    faces = write_faces(tmp_path / "faces.csv", n=60)
    return next(case for case in cases(faces, length=0.5) if case.name == request.param)


@pytest.fixture
def uninterrupted(case, composed, shell, tmp_path):
    """The folder of the same without a kill; in this process where that is possible."""
    from fer_lightning.fused.single_run import train

    folder = tmp_path / "uninterrupted"
    if case.is_sweep:
        done = shell("train.py", *case.settings, f"hydra.sweep.dir={folder}")
        assert done.returncode == 0, done.stderr
    else:
        folder.mkdir()
        train(composed("train", *case.settings), folder, list(case.settings))
    return folder


@pytest.mark.parametrize("case", ["training", "fused group"], indirect=True)
def test_nothing_is_lost_when_a_process_is_killed(case, uninterrupted, tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    moment = random.Random(seed).uniform(4, 9)
    status, _ = kill_and_resume(case, tmp_path / "killed", [moment], tmp_path / "log")
    outcome = check(case, left(uninterrupted), tmp_path / "killed", tmp_path / "log", status)
    assert outcome == "as if nothing had happened"
