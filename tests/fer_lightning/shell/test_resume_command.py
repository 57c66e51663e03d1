import shlex

import pytest

from fer_lightning.errors import InputError
from fer_lightning.runs.overrides import without_resume
from fer_lightning.shell.command_line import resumed, resuming_command


@pytest.fixture
def run(tmp_path):
    """The folder of a run."""
    folder = tmp_path / "it's a run"
    (folder / ".hydra").mkdir(parents=True)
    return folder


@pytest.fixture
def sweep(tmp_path):
    """The folder of a sweep over two seeds."""
    (tmp_path / "sweep").mkdir()
    stored = "hydra: {overrides: {task: ['model=cnn', 'seed=0,1', 'resume=before']}}"
    (tmp_path / "sweep" / "multirun.yaml").write_text(stored)
    return tmp_path / "sweep"


def test_a_command_that_resumes_nothing_is_left_as_it_is():
    for words in (["model=cnn"], ["resume=null", "model=cnn"], []):
        assert resumed(words) == words


def test_a_run_goes_on_in_its_folder_whose_settings_are_left_alone(run):
    quoted = str(run).replace("'", "\\'")
    expected = [f"resume='{quoted}'", f"hydra.run.dir='{quoted}'", "hydra.output_subdir=null"]
    assert resumed([f"resume={run}"]) == expected


def test_a_relative_folder_is_that_where_the_command_is_typed(run, monkeypatch):
    monkeypatch.chdir(run.parent)
    assert resumed([f"resume={run.name}"]) == resumed([f"resume={run}"])


def test_a_sweep_goes_on_in_its_folder_with_its_command(sweep):
    words = ["-m", "model=cnn", "seed=0,1", "hydra/launcher=fused"]
    where = [f"resume='{sweep}'", f"hydra.sweep.dir='{sweep}'"]
    assert resumed([*words, f"resume={sweep}"]) == [*words, *where]
    # Hydra wants overrides side by side
    words = ["model=cnn", "seed=0,1", f"resume={sweep}", "hydra.sweep.dir=other", "-m"]
    assert resumed(words) == ["model=cnn", "seed=0,1", *where, "-m"]
    assert shlex.split(resuming_command(sweep, [*words[:2], "-m"]))[-4:] == [*words[:3], "-m"]


def test_a_sweep_whose_settings_were_cut_off_goes_on_unchecked(sweep):
    (sweep / "multirun.yaml").write_text("hydra: {overrides: {tas")
    assert resumed(["-m", "seed=5", f"resume={sweep}"])[1] == "seed=5"


@pytest.mark.parametrize("other", ["model=cnn", "+optim.lr=3", "~trainer.devices"])
def test_a_run_keeps_its_settings(run, other):
    with pytest.raises(InputError, match="resume must be given alone: a run keeps its settings"):
        resumed([other, f"resume={run}"])


@pytest.mark.parametrize("words", [[], ["seed=0,1"], ["model=cnn", "seed=0,1,2"]])
def test_a_sweep_keeps_its_jobs(sweep, words):
    told = "resume must go with the overrides of that sweep, model=cnn seed=0,1, got "
    with pytest.raises(InputError, match=told):
        resumed(["-m", *words, f"resume={sweep}"])


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(InputError, match="must be the folder of a run or a sweep, got 'gone'"):
        resumed(["resume=gone"])


def test_what_torchrun_began_goes_on_with_it(run, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    words = shlex.split(resuming_command(run))
    assert words[:3] == ["torchrun", "--nproc-per-node", "2"]
    assert words[-1] == f"resume={run}"


def test_a_run_does_not_see_that_it_was_resumed():
    assert without_resume(["seed=1", "resume='x'", "model=cnn"]) == ["seed=1", "model=cnn"]
