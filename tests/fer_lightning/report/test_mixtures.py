import numpy as np
import pytest

from fer_lightning.report.collection import read_mixture_run
from fer_lightning.report.mixture_section import _title, error_panels
from fer_lightning.report.runs import RunFolder


def test_restarts_of_each_start_are_curves(write_clustering):
    run = read_mixture_run(RunFolder(write_clustering("a"), "cluster", None))
    curves = {start: [curve.tolist() for curve in all_] for start, all_ in run.curves.items()}
    assert curves == {"random": [[-90, -50], [-95, -40]], "kmeans": [[-60, -30]]}


def test_errors_are_columns_by_split(write_classification):
    run = read_mixture_run(RunFolder(write_classification("a"), "classify", None))
    np.testing.assert_array_equal(run.errors["n_components"], [7, 14])
    np.testing.assert_array_equal(run.errors["test"], [0.5, 0.6])
    assert run.setting("mixture.covariance_type") == "diag"


def test_of_several_numbers_of_factors_the_chosen_one_is_shown(write_classification):
    best = {"n_components": 7, "n_factors": 10, "train": 0.2, "val": 0.3, "test": 0.4}
    path = write_classification("a", n_factors=[5, 10], best=best)
    (path / "error.csv").write_text(
        "n_components,train,val,test,n_factors\n"
        "7,0.3,0.4,0.5,5\n14,0.2,0.5,0.6,5\n7,0.2,0.3,0.4,10\n14,0.1,0.4,0.5,10\n"
    )
    run = read_mixture_run(RunFolder(path, "classify", None))
    assert run.status == "done"
    np.testing.assert_array_equal(run.errors["n_components"], [7, 14])
    np.testing.assert_array_equal(run.errors["test"], [0.4, 0.5])
    (panel,) = error_panels([(_title(run), run)]).axes
    assert panel.get_title(loc="left").endswith("diag of 10 factors, pixels, 2 expressions")


@pytest.mark.parametrize(("n_test", "all_"), [(20, True), (9, False)])
def test_whether_all_test_faces_are_told_apart(write_classification, n_test, all_):
    run = read_mixture_run(RunFolder(write_classification("a", n_test), "classify", None))
    assert run.tells_all_test_faces_apart is all_


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("summary.json", "no", "summary.json cannot be read"),
        ("error.csv", "n_components,train,val,test\n7,x,1,1\n", "error.csv must hold numbers"),
        ("error.csv", "n_components,train,val,test\n7,,1,1\n", "error.csv must have no empty"),
        ("error.csv", "a\n", "error.csv must have the columns"),
    ],
)
def test_damage_is_told(write_classification, name, content, words):
    path = write_classification("a")
    (path / name).write_text(content)
    run = read_mixture_run(RunFolder(path, "classify", None))
    assert run.status == "damaged"
    assert run.problem.startswith(words)


def test_a_run_without_a_summary_is_unfinished(write_clustering):
    path = write_clustering("a")
    (path / "summary.json").unlink()
    assert read_mixture_run(RunFolder(path, "cluster", None)).status == "unfinished"


def test_what_the_commands_write_is_read(composed, csv_path, tmp_path, monkeypatch):
    from gmm.classify import classify
    from gmm.cluster import cluster
    from gmm.faces import classify_report, cluster_report

    faces = ["data=fer2013", f"data.path={csv_path}", f"data.cache_dir={tmp_path / 'cache'}"]
    given = [*faces, "device=cpu", "mixture.max_iter=2", "start=kmeans"]
    jobs = {"classify": (classify, ["mixture.n_components=[1,2]", "classes=all"]),
            "cluster": (cluster, ["mixture.n_components=2"])}  # fmt: skip
    found = {}
    for report in (classify_report, cluster_report):
        monkeypatch.setattr(report, "_draw", lambda *_: None)
    for name, (job, own) in jobs.items():
        folder = tmp_path / name
        folder.mkdir()
        job(composed(f"gmm/{name}", *given, *own), folder, own)
        found[name] = read_mixture_run(RunFolder(folder, name, None))
    assert {(run.status, run.problem) for run in found.values()} == {("done", None)}
    assert found["classify"].tells_all_test_faces_apart
    assert found["classify"].errors["n_components"].tolist() == [1, 2]
    assert found["cluster"].setting("mixture.max_iter") == 2
    assert [len(curve) for curve in found["cluster"].curves["kmeans"]] == [2]
