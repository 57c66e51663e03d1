"""The commands of the README are ones that the project understands."""

import re
import shlex

import pytest
from hydra import compose, initialize_config_dir

from fer_lightning.runs.settings import without_resume
from fer_lightning.shell.command_line import gather_words
from fer_lightning.shell.configuration import CONF, project_root, register_resolvers

CONFIGS = {
    "train.py": "train",
    "fer_lightning.evaluate": "evaluate",
    "fer_lightning.data": "faces",
    "fer_lightning.study": "study",
    "gmm.cluster": "gmm/cluster",
    "gmm.classify": "gmm/classify",
}
README = (project_root() / "README.md").read_text()
COMMANDS = re.findall(
    r"python (?:-m )?(?:train\.py|fer_lightning\.(?:data|evaluate|study)|gmm\.\w+)[^\n`]*", README
)


def first_values(override):
    """An override with the first value of each sweep."""
    key, _, value = override.partition("=")
    plain = not value or value.startswith(("[", '"'))
    return override if plain else f"{key}={value.split(',')[0]}"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_composes(command):
    words = [word for word in shlex.split(command, comments=True)[1:] if word != "-m"]
    overrides = [first_values(w).replace("=~", "=") for w in words[1:] if w not in ("--help",)]
    overrides = without_resume(overrides)  # a folder's name, which Hydra sees in quotes
    if words[0] == "fer_lightning.evaluate":
        overrides = gather_words(overrides, "runs")
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        compose(CONFIGS[words[0]], overrides=overrides)


def test_the_readme_shows_more_than_ten_commands():
    assert len(COMMANDS) > 10
