import subprocess
import sys

import pytest

from fer_lightning.errors import InputError
from fer_lightning.training.rules import check_settings

MISTAKES = {
    "seed=-1": "seed must be an integer from 0",
    "threads=0": "threads must be an integer of at least 1",
    "model.hidden=[0]": "model.hidden must be a list of at least one positive integer",
    "data.batch_size=0": "data.batch_size must be an integer of at least 1",
    "data.cv_fold=1": "data.cv_folds must be given where cv_fold is",
    "optim.lr=-1": "optim.lr must be a number above 0",
    "tta=flop": "tta must be one of flip, ten_crop, or null",
    "data.drop_findings=[exact]": "data.drop must be given where drop_findings are",
    "+augment.flip=1": "augment must be an option that has such settings",
    "+optim.rate=1": "optim.rate must be a setting that exists",
}
WITHOUT_PYTORCH = """
import sys
sys.modules["torch"] = None  # importing it is an error
from hydra import compose, initialize_config_dir
from fer_lightning.errors import InputError
from fer_lightning.shell.configuration import CONF, register_resolvers
from fer_lightning.training import check_settings
register_resolvers()
with initialize_config_dir(str(CONF), version_base="1.3"):
    for setting in sys.argv[1:]:
        try:
            check_settings(compose("train", [setting]))
        except InputError as error:
            print(error)
"""


def test_mistakes_are_told_before_pytorch_is_imported():
    command = [sys.executable, "-c", WITHOUT_PYTORCH, *MISTAKES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for told, expected in zip(done.stdout.splitlines(), MISTAKES.values(), strict=True):
        assert told.startswith(expected)


def test_a_file_that_is_missing_is_told_before_lightning_is_imported(composed, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    with pytest.raises(InputError, match=r"no such file or folder: nowhere\.csv"):
        check_settings(composed("train", "data=fer2013", "data.path=nowhere.csv"))


def test_a_network_from_elsewhere_has_rules_of_its_own(composed):
    check_settings(composed("train", "model._target_=elsewhere.Net", "model.hidden=none"))
