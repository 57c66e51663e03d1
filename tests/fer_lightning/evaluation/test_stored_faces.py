import json

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

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


def test_every_source_that_can_be_trained_on_can_be_read_again(composed):
    names = [path.stem for path in (CONF / "data").glob("*.yaml")]
    targets = [composed("train", f"data={name}").data.source._target_ for name in names]
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


def test_what_a_run_said_of_its_classes_is_read_again(train_here, tmp_path):
    rng = np.random.default_rng(0)
    for i, (word, number) in enumerate((w, n) for w in ("froh", "7", "x.y") for n in range(20)):
        folder = tmp_path / "faces" / word
        folder.mkdir(parents=True, exist_ok=True)
        levels = rng.integers(0, 256, (20, 20), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{'AB'[i % 2]}{number}.png")
    train_here(
        "run",
        *("trainer.max_epochs=1", "data=folder", f"data.path={tmp_path / 'faces'}"),
        *("data.name=mine", "data.classes={froh:happy,7:sad,x.y:leave_out}", "data.image_size=20"),
        *("data.view_pattern='([AB])'", "data.views=[A]"),
    )
    of_ended = run_faces(tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "summary.json").read_text())["data"]
    assert (of_ended.name, of_ended.fingerprint) == ("mine", facts["fingerprint"])
    assert sum(of_ended.splits.sizes().values()) == 20
    # as if it had not ended
    (tmp_path / "run" / "summary.json").unlink()
    (tmp_path / "run" / ".hydra").mkdir(exist_ok=True)
    keep_config(
        tmp_path / "run",
        {
            "data": {
                "source": {"_target_": "fer_lightning.data.ClassFolders"},
                "path": str(tmp_path / "faces"),
                "name": "mine",
                "classes": {"froh": "happy", 7: "sad", "x.y": "leave_out"},
                "view_pattern": "([AB])",
                "views": ["A"],
                "image_size": 20,
            }
        },
    )
    assert run_faces(tmp_path / "run").fingerprint == of_ended.fingerprint


def test_a_stored_name_that_leads_elsewhere_is_refused(run, tmp_path):
    keep_settings(run, data="classfolders", data__path=str(tmp_path), data__name="../../x")
    with pytest.raises(InputError, match="name must be letters, digits, _ and -"):
        run_faces(run)
