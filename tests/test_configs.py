"""Every shipped choice composes, and what it makes is what its name says."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from fer_lightning.runs.settings import flat_settings
from fer_lightning.shell.configuration import CONF, register_resolvers


@pytest.fixture
def composed():
    def make(*overrides):
        register_resolvers()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("train", overrides=list(overrides))

    return make


@pytest.mark.parametrize(("model", "lr", "epochs"), [("mlp", 0.01, 1000), ("cnn", 0.1, 30)])
def test_each_network_has_the_learning_rate_and_epochs_of_the_study(composed, model, lr, epochs):
    config = composed(f"model={model}")
    assert (config.optim.lr, config.trainer.max_epochs) == (lr, epochs)
    assert (config.optim.momentum, config.data.batch_size) == (0, 100)
    given = composed(f"model={model}", "optim.lr=0.3", "trainer.max_epochs=7")
    assert (given.optim.lr, given.trainer.max_epochs) == (0.3, 7)


def test_the_shipped_shapes_have_the_parameters_that_they_should(composed):
    sizes = {
        model: sum(p.numel() for p in instantiate(composed(f"model={model}").model).parameters())
        for model in ("mlp", "cnn", "resnet")
    }
    resnet = 864 + 18_560 + 57_728 + 144_960 + 679  # stem, three stages, linear layer
    assert sizes == {"mlp": 37_655, "cnn": 10_599, "resnet": resnet}


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "data").glob("*.yaml")))
def test_every_source_can_be_made_from_its_settings(composed, name, tmp_path):
    folders = "affectnet", "ckplus", "fer2013", "ferplus", "folder", "jaffe", "kdef", "rafdb"
    paths = {"tfd": tmp_path / "toronto_face.npz", **dict.fromkeys(folders, tmp_path)}
    (tmp_path / "toronto_face.npz").touch()
    given = [f"data={name}"] + ([f"data.path={paths[name]}"] if name in paths else [])
    given += [f"data.labels={tmp_path}"] if name == "ferplus" else []
    source = instantiate(composed(*given).data.source, _convert_="all")
    assert source.name == ("fer2013" if name == "ferplus" else name)


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "trainer").glob("*.yaml")))
def test_every_trainer_composes(composed, name):
    assert composed(f"trainer={name}").trainer.devices == (2 if name == "ddp" else 1)


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "optim").glob("*.yaml")))
def test_every_optimiser_can_be_made_from_its_settings(composed, name):
    settings = instantiate(composed(f"optim={name}").optim, _convert_="all")
    assert type(settings).__name__.lower() == name


def test_flat_settings_are_the_keys_that_users_type(composed):
    settings = flat_settings(composed("model=cnn", "optim.momentum=0.5", "data.seed=3"))
    told = {"model": "cnn", "model.filters": [8, 16], "optim": "sgd", "optim.lr": 0.1}
    told |= {"optim.momentum": 0.5, "data": "synthetic", "data.seed": 3, "trainer.max_epochs": 30}
    assert told.items() <= settings.items()
    assert not [key for key in settings if key.startswith(("study", "data.source"))]
    assert not [key for key in settings if "_target_" in key]


@pytest.mark.parametrize("name", ["fer2013", "tfd"])
@pytest.mark.parametrize(
    "other", ["augment=none", "optim=sgd", "optim=adamw", "schedule=constant", "model=cnn"]
)
def test_a_part_of_a_recipe_can_be_chosen_otherwise(composed, name, other):
    group = other.split("=")[0]
    network = [] if group == "model" else ["model=resnet"]  # which says the learning rate
    expected = composed(*network, other)[group]
    if (name, group) == ("tfd", "optim"):
        expected.lr = 0.05
    assert composed(f"experiment={name}", other)[group] == expected


def test_the_recipe_has_the_settings_that_were_measured(composed):
    config = composed("experiment=fer2013")
    optim, augment = config.optim, config.augment
    others = optim.lr * optim.factor_others
    assert (optim.lr, others, optim.weight_decay) == (0.07, pytest.approx(0.14), 0.02)
    assert (augment.rotation, augment.scale, augment.shift) == (15, 0.15, 0.1)
    assert (augment.flip, augment.erasing, augment.cutmix) == (0.5, 0.5, 0)
    assert (augment.brightness, augment.contrast) == (0.1, 0.2)
    assert (config.schedule.rise, config.data.batch_size, config.trainer.max_epochs) == (
        0.15,
        256,
        56,
    )
