import pytest
from hydra import compose, initialize_config_dir

from fer_lightning.shell.command_line import flags_first, gather_words
from fer_lightning.shell.configuration import CONF

NAMES = ["a run", "x,y", "it's", "back\\slash", "end\\", "[1]{2}(3)", '"quoted"', "ü", "#4", "null"]
NAMES += ["${oc.env:HOME}", "100%", "a:b", "7"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_reaches_the_settings_as_it_is(name):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", overrides=gather_words([name, "split=val", "x"], "runs"))
    assert list(config.runs) == [name, "x"]
    assert config.split == "val"


def test_flags_and_overrides_stay_what_they_are():
    words = ["--cfg", "job", "+a.b=1", "~c=2", "data=fer2013", "-m", "data@x:y=3"]
    assert gather_words([*words, "run"], "runs") == [*words, "runs=['run']"]
    assert gather_words(words, "runs") == words


def test_flags_come_first_with_their_values():
    words = ["model=cnn", "-m", "seed=0,1", "--cfg", "job", "--resolve"]
    assert flags_first(words) == ["-m", "--cfg", "job", "--resolve", "model=cnn", "seed=0,1"]


def test_a_path_with_an_equals_sign_is_plain_if_it_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gather_words(["lr=0.1"], "runs") == ["lr=0.1"]
    (tmp_path / "lr=0.1").mkdir()
    assert gather_words(["lr=0.1"], "runs") == ["runs=['lr=0.1']"]
