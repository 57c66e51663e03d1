"""Networks in files: what is saved is loaded, what is none is one line and runs no code."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fer_lightning.data import CLASSES
from fer_lightning.errors import InputError
from fer_lightning.networks import CNN, MLP, ResNet
from fer_lightning.recognition import SHIPPED, Loaded, load, save
from fer_lightning.recognition.face_network import FaceNetwork
from fer_lightning.recognition.weights import KEY


@pytest.fixture
def faces():
    return torch.randint(0, 256, (4, 1, 48, 48), dtype=torch.uint8, generator=torch.manual_seed(1))


@pytest.mark.parametrize("make", [lambda: MLP(hidden=[4]), CNN, lambda: ResNet(8, [8], [1])])
def test_what_is_saved_is_loaded(tmp_path, faces, make):
    torch.manual_seed(0)
    network = FaceNetwork(make(), "flip", "equalise", True, 1.7).eval()
    path = tmp_path / "a.safetensors"
    save(path, Loaded(network, 48, True, "a"), {"seed": 0})
    found = load(path)
    assert (found.image_size, found.calibrated, found.name) == (48, True, str(path))
    for one, other in zip(found.network(faces), network(faces), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_the_shipped_weights_are_small_and_of_the_recipe():
    assert SHIPPED.stat().st_size < 2_000_000
    shipped = load()
    inner = shipped.network.network
    assert isinstance(inner, ResNet)
    assert sum(w.numel() for w in inner.parameters()) < 300_000
    assert shipped.calibrated
    assert 0.5 < shipped.network.temperature < 2


def changed(tmp_path, **others) -> Path:
    """The shipped weights with something else in their header."""
    from safetensors import safe_open

    with safe_open(SHIPPED, framework="pt") as file:
        told = {**json.loads(file.metadata()[KEY]), **others}
    path = tmp_path / "changed.safetensors"
    save_file(load_file(SHIPPED), path, metadata={KEY: json.dumps(told)})
    return path


@pytest.mark.parametrize(
    "others",
    [
        {"classes": [*CLASSES[1:], "contempt"]},
        {"network": "os.system"},
        {"network": "MLP", "settings": {"hidden": [10**9]}},
        {"settings": {"stem": 10**6}},
        {"settings": {"widths": [32, 64]}},
        {"evaluated": {"tta": "flop"}},
        {"evaluated": {"temperature": -1.0}},
        {"image_size": None},
    ],
)
def test_weights_that_say_something_else_are_refused(tmp_path, others):
    path = changed(tmp_path, **others)
    with pytest.raises(InputError, match=r"changed\.safetensors: the file must hold a network"):
        load(path)


def test_files_that_hold_no_network_are_one_line(tmp_path):
    (tmp_path / "text.safetensors").write_text("not weights")
    (tmp_path / "cut.safetensors").write_bytes(SHIPPED.read_bytes()[:5000])
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    for name in ("text", "cut", "other"):
        with pytest.raises(InputError, match=f"{name}.safetensors: the file must hold a network"):
            load(tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        load(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="no such run or checkpoint: nowhere"):
        load("nowhere")


def test_a_runs_network_has_the_temperature_that_an_evaluation_fitted(shell, tmp_path):
    run = tmp_path / "run"
    settings = ("trainer.max_epochs=2", "tta=flip", f"hydra.run.dir={run}")
    shell("train.py", *settings, "data.contrast=equalise").check_returncode()
    before = load(run)
    assert (before.calibrated, before.network.temperature) == (False, 1.0)
    assert (before.network.tta, before.network.contrast) == ("flip", "equalise")
    shell("fer_lightning.evaluate", str(run), "split=val").check_returncode()
    facts = json.loads((run / "evaluation" / "val" / "evaluation.json").read_text())
    after = load(run)
    assert after.calibrated
    assert after.network.temperature == facts["temperature"] != 1.0
    assert not load(run / "checkpoints" / "last.ckpt").calibrated  # another network
