"""The command as users type it."""

import json
import re

from fer_lightning.shell.configuration import CONF, project_root


def test_runs_stand_on_the_command_line_without_a_key(shell, train_here, tmp_path):
    multirun = set(project_root().glob("multirun/*"))
    train_here("a b,c=[1]", "optim.lr=0.05")
    (tmp_path / "elsewhere").mkdir()
    done = shell("fer_lightning.evaluate", "../a b,c=[1]", "split=val", "threshold=1/2", new=True)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "a b,c=[1]" / "evaluation" / "val"
    found = json.loads((folder / "evaluation.json").read_text())
    assert (found["run"], found["threshold"], found["n"]) == ("a b,c=[1]", 0.5, 7)
    assert done.stdout.startswith("../a b,c=[1]: best.ckpt, epoch ")
    assert f"accuracy {found['acc']:.1%} (95 % interval" in done.stdout
    assert re.search(r"^temperature .*, fitted on val +\d", done.stdout, re.MULTILINE)
    assert not any((tmp_path / "elsewhere").iterdir())
    assert set(project_root().glob("multirun/*_evaluate")) <= multirun


def test_a_path_that_is_no_run_is_one_line(shell, tmp_path):
    done = shell("fer_lightning.evaluate", "gone/run", "split=val")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no such run or checkpoint: gone/run\n"


def test_help_shows_data_sets_and_examples(shell):
    shown = shell("fer_lightning.evaluate", "--help")
    assert shown.returncode == 0
    options = re.search(r"^data: (.*)$", shown.stdout, re.MULTILINE)[1].split(", ")
    assert options == sorted(path.stem for path in (CONF / "data").glob("*.yaml"))
    examples = re.findall(r"^ +python -m fer_lightning\.evaluate .*", shown.stdout, re.MULTILINE)
    assert len(examples) == 6
