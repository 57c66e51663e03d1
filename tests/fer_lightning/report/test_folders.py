import pytest

from fer_lightning.errors import InputError
from fer_lightning.report.runs import run_folders


def test_runs_are_found_at_any_depth_in_their_order_and_each_once(write_run, tmp_path):
    for name in ("study/2025-12-31_a/10_run", "study/2025-12-31_a/9_run", "2026-01-01_train"):
        write_run(name)
    (tmp_path / "study/2025-12-31_a/multirun.yaml").touch()
    found = run_folders([tmp_path, tmp_path / "study" / ".." / "study"])
    assert [run.name for run in found] == ["2026-01-01_train", "9_run", "10_run"]
    assert [run.sweep and run.sweep.name for run in found] == [None, "2025-12-31_a", "2025-12-31_a"]


def test_a_run_itself_can_be_given(write_run):
    (found,) = run_folders([write_run("2026-01-01_train")])
    assert (found.name, found.kind) == ("2026-01-01_train", "train")


def test_mixtures_are_told_from_networks_and_other_folders_left_out(
    write_run, write_clustering, write_classification, tmp_path
):
    write_run("a")
    write_clustering("b")
    write_classification("c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "faces.log").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "metrics.csv").touch()
    found = run_folders([tmp_path])
    assert [(run.name, run.kind) for run in found] == [
        ("a", "train"),
        ("b", "cluster"),
        ("c", "classify"),
    ]


def test_a_copy_without_a_log_is_known_by_its_table(write_run):
    run = write_run("a")
    (run / "train.log").unlink()
    assert run_folders([run])[0].kind == "train"


def test_links_that_lead_in_a_circle_are_not_followed(write_run, tmp_path):
    write_run("a/b")
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    assert len(run_folders([tmp_path])) == 1


def test_mistakes_are_named(tmp_path):
    with pytest.raises(InputError, match=r"^PATH must be a folder that exists, got '.*gone'$"):
        run_folders([tmp_path / "gone"])
    with pytest.raises(InputError, match=r"^PATH must hold runs, got none in "):
        run_folders([tmp_path])
