import pytest
from omegaconf import OmegaConf

from fer_lightning.errors import InputError
from fer_lightning.runs.settings import stored_settings


@pytest.fixture
def store(composed, tmp_path):
    """Store the settings of a run as Hydra does, changed by what is given; its folder."""

    def write(config_name="train", overrides=(), **changes):
        (tmp_path / ".hydra").mkdir(exist_ok=True)
        config = composed(config_name, *overrides)
        for key, value in changes.items():
            OmegaConf.update(config, key.replace("__", "."), value, force_add=True)
        OmegaConf.save(config, tmp_path / ".hydra" / "config.yaml")
        OmegaConf.save(list(overrides), tmp_path / ".hydra" / "overrides.yaml")
        started = {"hydra": {"runtime": {"cwd": "/started/in"}}}
        OmegaConf.save(started, tmp_path / ".hydra" / "hydra.yaml")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("config_name", "overrides"),
    [
        ("train", ["model=cnn", "optim=adamw", "+trainer.precision=64-true"]),
        ("train", ["trainer=ddp"]),
        *(("train", [f"data={name}", "data.path=/a"]) for name in ("tfd", "fer2013", "folder")),
        ("train", ["data=rafdb", "data.path=/a", "data.classes={1:fear,x:leave_out}"]),
        ("train", ["data=kdef", "data.path=/a", "data.image_size=64"]),
        ("gmm/cluster", []),
        ("gmm/classify", ["classes=all"]),
    ],
)
def test_what_the_shipped_settings_make_is_taken(store, composed, config_name, overrides):
    config, told = stored_settings(store(config_name, overrides))
    assert OmegaConf.to_container(config, resolve=True) == OmegaConf.to_container(
        composed(config_name, *overrides), resolve=True
    )
    assert told == overrides


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model___target_", "os.system"),
        ("data__source___target_", "builtins.eval"),
        ("trainer__callbacks", [{"_target_": "subprocess.run", "args": "ls"}]),
        ("optim___args_", ["x"]),
        ("data__path", "${oc.env:HOME}"),
        ("seed", "${oc.decode:${new_folder:/tmp/x}}"),
    ],
)
def test_what_could_run_code_is_refused(store, key, value):
    with pytest.raises(InputError, match="must be a plain value or one of this project's classes"):
        stored_settings(store(**{key: value}))


def test_faces_are_where_they_were_when_the_run_was_started(store):
    config, _ = stored_settings(store("train", ["data=fer2013", "data.path=faces.zip"]))
    assert config.data.path == "/started/in/faces.zip"


def test_shards_are_where_they_were_when_the_run_was_started(store):
    config, _ = stored_settings(store("gmm/cluster", ["shards=folder"]))
    assert config.shards == "/started/in/folder"


@pytest.mark.parametrize("content", [None, "", "[1, 2", "- 1", "{a: {b: !!python/object:x {}}}"])
def test_settings_that_are_not_there_or_damaged_are_one_line(store, content):
    folder = store()
    path = folder / ".hydra" / "config.yaml"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(InputError, match=r"\.hydra") as told:
        stored_settings(folder)
    assert "\n" not in str(told.value)
