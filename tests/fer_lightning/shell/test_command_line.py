import pytest
from hydra import compose, initialize_config_dir

from fer_lightning.errors import InputError
from fer_lightning.shell.command_line import (
    as_overrides,
    flags_first,
    gather_words,
    require_names_once,
    with_integers,
    with_patterns,
)
from fer_lightning.shell.configuration import CONF, require_keys, require_options

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


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("trainer.max_epochs=1e3", "trainer.max_epochs=1000"),
        ("seed=1e0,2E+1,3", "seed=1,20,3"),
        ("model.hidden=[1e2, 2e1]", "model.hidden=[100, 20]"),
        ("optim.lr=1e-3,1.5e3", "optim.lr=1e-3,1.5e3"),
        ("optim.lr=1e300", "optim.lr=1e300"),
        ("data.path='1e3'", "data.path='1e3'"),
        ("data.path=faces/1e3", "data.path=faces/1e3"),
        ("--config-dir=1e3", "--config-dir=1e3"),
        ("hydra.run.dir=1e3", "hydra.run.dir=1e3"),
        ("1e3", "1e3"),
    ],
)
def test_a_power_of_ten_is_an_integer(word, expected):
    assert with_integers([word]) == [expected]


def test_a_folder_may_have_the_name_of_a_power_of_ten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1e3").mkdir()
    assert with_integers(["data.path=1e3", "seed=1e1"]) == ["data.path=1e3", "seed=10"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"\.(AN|DI|FE|HA|SA|SU|NE)\d",
        r"(S\d+)_",
        r"^(train|test)_",
        r"(\w{1,3})$",
        r"(a'b)",
        r'(a"b)\\',
        r"([^,]+),=",
    ],
)
def test_a_pattern_reaches_the_settings_as_the_shell_gives_it(pattern, composed):
    words = ["data=folder", f"data.label_pattern={pattern}", "data.subject_pattern=null"]
    config = composed("train", *with_patterns(words))
    assert config.data.label_pattern == pattern
    assert config.data.subject_pattern is None


@pytest.mark.parametrize(
    "word",
    [
        r"data.label_pattern='\.(a|b)'",
        r'data.label_pattern="\.(a|b)"',
        r'data.label_pattern="(a)","(b)"',
        "data.label_pattern=null",
        "data.path=(a)",
        "-m",
    ],
)
def test_what_is_quoted_or_no_pattern_is_left_alone(word):
    assert with_patterns([word]) == [word]


@pytest.mark.parametrize(
    "word", ["data.classes={1:happy,1:sad}", "data.classes={1: happy, 2: sad, 1: fear}"]
)
def test_a_map_of_classes_has_each_name_once(word):
    with pytest.raises(InputError, match="must have each name once"):
        require_names_once([word])


@pytest.mark.parametrize(
    "word",
    [
        "data.classes={1:happy,2:sad}",
        "data.classes={}",
        r"data.classes={a\:b:happy,'c:d':sad}",
        "data.classes={1:happy},{1:sad}",
        "data.classes={1:happy",
        "data.path={1:a,1:b}",
    ],
)
def test_other_maps_are_left_to_hydra(word):
    require_names_once([word])


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("data=[rafdb,affectnet]", "data must be one of affectnet, .*got '.rafdb,affectnet.'"),
        ("augment=null", "augment must be one of none, standard, strong, got 'null'"),
        ("schedule=3", "schedule must be one of"),
        ("data=null", "data must be one of"),
    ],
)
def test_one_option_of_a_group_is_chosen(word, named):
    with pytest.raises(InputError, match=named):
        require_options([word])


@pytest.mark.parametrize("word", ["data=rafdb", "model=mlp,cnn", "callbacks=[ema,swa]", "seed=3"])
def test_options_and_lists_of_callbacks_are_taken(word):
    require_options([word])


@pytest.mark.parametrize("word", ["+data.clases={1:happy}", "++data.clases=3", "+foo=1"])
def test_what_nothing_reads_is_not_added(word):
    with pytest.raises(InputError, match="must be a setting that exists, got an unknown key"):
        require_keys([word], "train")


@pytest.mark.parametrize(
    "word",
    [
        "+trainer.precision=16-mixed",
        "++seed=3",
        "++data.batch_size=3",
        "++data.label_pattern=(a)",
        "+experiment=tfd",
        "+data.source.x=1",
        "+hydra.x=1",
        "seed=3",
    ],
)
def test_arguments_of_classes_are_added(word):
    require_keys([word], "train")


@pytest.mark.parametrize(
    "flags", [["--config-dir", "conf"], ["--config-dir=conf"], ["-cd", "conf"]]
)
def test_a_configuration_of_ones_own_has_keys_of_its_own(flags):
    require_keys([*flags, "+mine=1"], "train")


def test_flags_and_other_names_of_settings_become_overrides():
    names = {"--camera": "camera", "model": "weights"}
    told = as_overrides(["--camera", "0", "a.jpg", "--camera=1", "model", "-c", "job"], names)
    assert told == ["camera=0", "a.jpg", "camera=1", "model", "-c", "job"]
    assert as_overrides(["model=multirun/run"], names) == ["weights=multirun/run"]
    assert as_overrides(["model=a b,c=d"], names) == ["weights='a b,c=d'"]
    assert as_overrides(["x.model=3", "+model=4"], names) == ["x.model=3", "+model=4"]
    for words in (["--camera"], ["--camera", "-c"], ["--camera="]):
        with pytest.raises(InputError, match="--camera must have a value"):
            as_overrides(words, names)
