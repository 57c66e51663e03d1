"""Kills at random moments; `python -m benchmarks.faults` has more of them."""

import random
import time

import pytest

from benchmarks.faults import cases, check, kill_and_resume, killed_after, left, write_faces


@pytest.mark.parametrize("name", ["training", "fused group"])
def test_nothing_is_lost_when_a_process_is_killed(tmp_path, name):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    log = tmp_path / "log"
    faces = write_faces(tmp_path / "faces.csv", n=60)
    (case,) = (case for case in cases(faces, length=0.5) if case.name == name)
    began = time.monotonic()
    assert killed_after(case.begin(tmp_path / "whole"), None, log) == 0, log.read_text()
    seconds = time.monotonic() - began
    moment = random.Random(seed).uniform(0.5, 1) * seconds
    status, _ = kill_and_resume(case, tmp_path / "killed", [moment], log)
    outcome = check(case, left(tmp_path / "whole"), tmp_path / "killed", log, status)
    assert outcome == "as if nothing had happened"
