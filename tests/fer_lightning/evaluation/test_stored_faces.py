import json

import pytest
from omegaconf import OmegaConf

from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.errors import InputError
from fer_lightning.evaluation.stored_runs import SOURCES, run_faces
from fer_lightning.shell.configuration import CONF


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    return tmp_path / "run"


def keep_settings(run, **settings):
    told = {key.replace("__", "."): value for key, value in settings.items()}
    (run / "summary.json").write_text(json.dumps({"settings": told}))


def keep_config(run, config):
    OmegaConf.save(config, run / ".hydra" / "config.yaml")


def test_every_source_that_can_be_trained_on_can_be_read_again():
    targets = [OmegaConf.load(path).source._target_ for path in (CONF / "data").glob("*.yaml")]
    assert {target.rpartition(".")[2].lower() for target in targets} == set(SOURCES)


def test_the_faces_of_an_ended_run_are_read_again(train_here, tmp_path):
    train_here("run", "trainer.max_epochs=1")
    faces = run_faces(tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "summary.json").read_text())["data"]
    assert (faces.name, faces.fingerprint) == (facts["name"], facts["fingerprint"])
    assert faces.splits.sizes() == {split: facts[split] for split in ("train", "val", "test")}


def test_the_faces_of_a_run_that_has_not_ended_are_those_of_its_configuration(
    run, composed, csv_path
):
    keep_config(run, composed("train", "data=fer2013", f"data.path={csv_path}"))
    config = OmegaConf.load(run / ".hydra" / "config.yaml")
    config.data.cache_dir = None
    keep_config(run, config)
    faces = run_faces(run)
    expected = Fer2013(csv_path).read().in_canonical_order().fingerprint()
    assert faces.fingerprint == expected


def test_a_path_is_relative_to_where_the_run_was_started(run, csv_path):
    keep_settings(run, data="fer2013", data__path=csv_path.name)
    started_in = {"hydra": {"runtime": {"cwd": str(csv_path.parent)}}}
    OmegaConf.save(OmegaConf.create(started_in), run / ".hydra" / "hydra.yaml")
    assert run_faces(run).splits.sizes() == {"train": 14, "val": 7, "test": 7}


@pytest.mark.parametrize("name", ["path", "pathlib.Path", ["fer2013"], None])
def test_other_classes_are_never_made(run, name):
    keep_settings(run, data=name, data__path="x")
    with pytest.raises(InputError, match=r"no settings of its faces; give data=\.\.\."):
        run_faces(run)


@pytest.mark.parametrize("target", ["builtins.exit", "shutil.rmtree", 3])
def test_a_configuration_names_no_other_class_either(run, target):
    keep_config(run, OmegaConf.create({"data": {"source": {"_target_": target}}}))
    with pytest.raises(InputError, match=r"no settings of its faces"):
        run_faces(run)


def test_faces_that_are_gone_are_named_with_a_remedy(run, tmp_path):
    keep_settings(run, data="fer2013", data__path=str(tmp_path / "gone.zip"))
    words = r"run: no such file or folder: .*gone\.zip; data=\.\.\. data\.path=\.\.\. says where"
    with pytest.raises(InputError, match=words):
        run_faces(run)


def test_a_run_without_settings_or_with_damaged_ones_is_named(run):
    with pytest.raises(InputError, match="no settings of its faces"):
        run_faces(run)
    (run / ".hydra" / "config.yaml").write_text("data: [")
    with pytest.raises(InputError, match=r"config\.yaml cannot be read"):
        run_faces(run)
