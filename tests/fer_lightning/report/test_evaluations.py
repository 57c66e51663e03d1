import pytest

from fer_lightning.report.collection import evaluations_of
from fer_lightning.report.runs import RunFolder, read_run


@pytest.fixture
def evaluated(write_run, write_evaluation):
    folder = write_evaluation(write_run("a"))
    return folder, read_run(RunFolder(folder.parent.parent, "train", None))


def test_figures_and_intervals_are_read(evaluated):
    (found,) = evaluations_of(evaluated[1])
    assert (found.split, found.number("aurc"), found.number("uncertain", "n")) == ("test", 0.3, 4)
    assert found.interval("acc_interval") == (0.26, 0.66)
    assert found.interval("aurc") is None
    coverage, risk = found.risk_coverage()
    assert (coverage.tolist(), risk.tolist()) == ([0.5, 1.0], [0.1, 0.55])


@pytest.mark.parametrize("content", ["coverage,risk\n", "coverage,risk\n1,x\n", "a,b\n"])
def test_a_curve_without_points_is_none(evaluated, content):
    (evaluated[0] / "risk_coverage.csv").write_text(content)
    assert evaluations_of(evaluated[1])[0].risk_coverage() is None


def test_damage_is_told(evaluated):
    (evaluated[0] / "evaluation.json").write_text("{")
    assert evaluations_of(evaluated[1])[0].problem.startswith("evaluation.json cannot be read")


def test_a_run_that_is_not_evaluated_has_none(write_run):
    assert evaluations_of(read_run(RunFolder(write_run("a"), "train", None))) == []
