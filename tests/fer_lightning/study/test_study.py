"""The whole study as one command: what it runs, and what it runs again."""

import json
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from fer_lightning.errors import InputError
from fer_lightning.study import __main__ as module
from fer_lightning.study.steps import PARTS, steps

ALL_BUT_GRIDS = {"mlp", "cnn", "mlp_learning_rate", "cnn_learning_rate", "mlp_momentum"}
ALL_BUT_GRIDS |= {"cnn_momentum", "mlp_batch_size", "cnn_batch_size", "mlp_hidden", "cnn_filters"}
ALL_BUT_GRIDS |= {"cnn_matched", "evaluation", "clusters", "anger_happy", "classes"}


@pytest.fixture
def study(composed, tmp_path, monkeypatch):
    """Run the study with commands that only say that they ran; `fails` names what fails."""
    ran = []

    def run(*overrides, fails=()):
        def python(*line):
            ran.append(" ".join(line))
            return not any(name in ran[-1] for name in fails)

        ran.clear()
        monkeypatch.setattr(module, "_python", python)
        module.study(composed("study", *overrides), tmp_path, list(overrides))
        return ran

    return run


def names(lines):
    return {
        step
        for step in ALL_BUT_GRIDS | {"mlp_grid", "cnn_grid"}
        for line in lines
        if f"/{step}'" in line
    }


def test_all_parts_but_the_grids_are_run(study):
    lines = study()
    assert names(lines) | {"evaluation"} == ALL_BUT_GRIDS
    assert lines[-1].startswith("-m fer_lightning.report")
    assert sum("fer_lightning.evaluate" in line for line in lines) == 3


@pytest.mark.parametrize(
    ("given", "ran"),
    [
        ("only=A3", {"mlp_hidden", "cnn_filters"}),
        ("only=[B2,B3]", {"clusters", "anger_happy"}),
        ("only=[A2+]", {"mlp_grid", "cnn_grid"}),
        ("only=A4", {"cnn_matched"}),
    ],
)
def test_only_some_parts(study, given, ran):
    assert names(study(given)) == ran


def test_grids_are_run_if_asked_for(study):
    assert names(study("grids=true")) >= {"mlp_grid", "cnn_grid"}


def test_what_is_done_is_not_run_again_and_what_failed_is(study, tmp_path):
    with pytest.raises(InputError, match="failed: cnn; started again"):
        study("only=A1", fails=["experiment=cnn"])
    assert set(json.loads((tmp_path / "study.json").read_text())["seconds"]) == {
        "mlp",
        "evaluation",
    }
    assert names(study("only=A1")) == {"cnn"}
    assert names(study("only=A1")) == set()
    assert names(study("only=[A1,A3]")) == {"mlp_hidden", "cnn_filters"}


def test_a_step_that_was_cut_off_begins_anew(study, tmp_path):
    (tmp_path / "mlp").mkdir()
    (tmp_path / "mlp" / "half").touch()
    study("only=A1")
    assert not (tmp_path / "mlp").exists()


def test_a_sweep_that_was_cut_off_goes_on(study, tmp_path):
    (tmp_path / "mlp").mkdir()
    (tmp_path / "mlp" / "multirun.yaml").touch()
    lines = study("only=A1")
    assert (tmp_path / "mlp" / "multirun.yaml").exists()
    resumed = [line for line in lines if "resume=" in line]
    assert [line.partition("resume=")[2] for line in resumed] == [str(tmp_path / "mlp")]
    assert "experiment=mlp " in resumed[0]


@pytest.mark.parametrize("changed", ["epochs_fraction=0.5", "seeds=[3]", "data.seed=1"])
def test_a_folder_holds_a_study_of_one_kind(study, changed):
    study("only=A3")
    with pytest.raises(InputError, match="must hold a study of these settings"):
        study("only=A3", changed)


def test_every_step_hears_of_epochs_seeds_and_data(study):
    lines = study("data=tfd", "data.path=a b.npz", "epochs_fraction=0.02", "seeds=[5,6]")
    for line in lines:
        if "train.py" in line or "gmm." in line:
            assert "data=tfd data.path=a b.npz" in line
    (mlp,) = (line for line in lines if "experiment=mlp " in line)
    assert "seed=5,6" in mlp
    assert "trainer.max_epochs=20 " in mlp
    (cnn,) = (line for line in lines if "experiment=cnn " in line)
    assert "trainer.max_epochs=1 " in cnn  # 0.6


def test_folders_of_any_name_pass_hydras_grammar(tmp_path):
    folder = tmp_path / "it's, a=b {x} [y] ${z}"
    for step in steps(folder, 1.0, [0], [], set(PARTS)):
        for line in step.commands:
            given = [word for word in line if word.startswith(("hydra.", "output="))]
            for override in OverridesParser.create().parse_overrides(given):
                resolved = override.value().replace(r"\${", "${")  # as OmegaConf reads it
                assert resolved.startswith(str(folder))


def test_time_is_estimated_at_the_pace_of_what_is_done(tmp_path):
    planned = steps(tmp_path, 1.0, [0], [], {"A1", "A3"})
    record = module._Record(tmp_path / "study.json", {})
    usual = sum(step.seconds for step in planned)
    assert record.expected(planned, planned) == pytest.approx(usual)
    record.add(planned[0], 3 * planned[0].seconds)
    rest = sum(step.seconds for step in planned[1:])
    assert record.expected(planned[1:], planned) == pytest.approx(3 * rest, rel=0.01)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("epochs_fraction=0", "epochs_fraction must be a number above 0"),
        ("epochs_fraction=2", "epochs_fraction must be at most 1"),
        ("only=A9", "only must be of A1, A2"),
        ("seeds=0", "seeds must be a list of integers"),
        ("seeds=[]", "seeds must be a list of integers"),
        ("grids=1", "grids must be true or false"),
    ],
)
def test_settings_that_break_their_rule_are_named(study, given, told):
    with pytest.raises(InputError, match=told):
        study(given)


def test_commands_run_with_this_python_and_say_whether_they_went_well(capfd, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # which a mistake in a step need not hear of
    told = "import os, sys; print(sys.executable, os.environ.get('HYDRA_FULL_ERROR'))"
    assert module._python("-c", told)
    assert capfd.readouterr().out == f"{sys.executable} None\n"
    assert not module._python("-c", "raise SystemExit(1)")
