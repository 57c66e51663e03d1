"""Exported files say what PyTorch says, to programs that know nothing of this project."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from fer_lightning.data import CLASSES, Synthetic, load as load_faces
from fer_lightning.errors import InputError
from fer_lightning.exporting.checking import check
from fer_lightning.exporting.eight_bits import quantise
from fer_lightning.exporting.program import program, write_onnx, write_pt2
from fer_lightning.networks import CNN, MLP, VGG, ResNet
from fer_lightning.recognition import Loaded, load
from fer_lightning.recognition.face_network import FaceNetwork

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

NETWORKS = {
    "mlp": lambda: MLP(hidden=[6]),
    "cnn": CNN,
    "resnet": lambda: ResNet(8, [8, 12], [1, 1]),
    "vgg": lambda: VGG(widths=[4, 8, 8, 8], hidden=[8]),
}
# Runs in a process without this project: the script of docs/photos.md.
SCRIPT = """
import json, sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
facts = session.get_modelmeta().custom_metadata_map
logits, probabilities = session.run(None, {"images": np.load(sys.argv[2])})
np.savez(sys.argv[3], logits=logits, probabilities=probabilities)
assert not any(name.startswith(("torch", "fer_lightning")) for name in sys.modules)
print(facts["classes"], facts["temperature"])
"""


@pytest.fixture
def faces():
    return torch.randint(
        0, 256, (500, 1, 48, 48), dtype=torch.uint8, generator=torch.manual_seed(1)
    )


def loaded(make, tta="flip", contrast="equalise", smooth=True, size=48) -> Loaded:
    torch.manual_seed(0)
    network = FaceNetwork(make(), tta, contrast, smooth, 1.25)
    return Loaded(network.eval(), size, True, "a network")


@pytest.mark.parametrize("name", NETWORKS)
def test_an_onnx_file_says_what_pytorch_says_without_this_project(name, faces, tmp_path):
    network = loaded(NETWORKS[name])
    path, given, answer = (tmp_path / n for n in ("a.onnx", "faces.npy", "answer.npz"))
    write_onnx(path, network)
    np.save(given, faces.numpy())
    words = [sys.executable, "-I", "-c", SCRIPT, *map(str, (path, given, answer))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{json.dumps(CLASSES)} 1.25"
    with torch.inference_mode():
        logits, probabilities = (part.numpy() for part in network.network(faces))
    found = np.load(answer)
    assert np.abs(found["logits"] - logits).max() < 1e-4
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-5)
    np.testing.assert_array_equal(found["logits"].argmax(-1), logits.argmax(-1))


@pytest.mark.parametrize(
    "settings",
    [
        {"tta": None, "contrast": None, "smooth": False},
        {"tta": "ten_crop"},
        {"size": 32},
    ],
)
def test_whatever_prepares_the_faces_is_inside(settings, tmp_path):
    size = settings.get("size", 48)
    network = loaded(lambda: MLP(hidden=[6], image_size=size), **settings)
    write_onnx(tmp_path / "a.onnx", network)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    for n in (1, 7):
        faces = torch.randint(0, 256, (n, 1, size, size), dtype=torch.uint8)
        faces[0] = 9  # a face of one level, whose histogram cannot be spread
        with torch.inference_mode():
            expected = network.network(faces)[0].numpy()
        (found,) = session.run(["logits"], {"images": faces.numpy()})
        assert np.abs(found - expected).max() < 1e-4


def test_the_shipped_network_is_exported(tmp_path):
    faces = load_faces(Synthetic(), None).val
    for write, name in ((write_onnx, "a.onnx"), (write_pt2, "a.pt2")):
        write(tmp_path / name, load())
        found = check(tmp_path / name, load(), faces)
        assert found.n == len(faces.labels)
        assert (found.difference < 1e-4, found.same) == (True, 1.0)
        assert found.accuracy[0] == found.accuracy[1]
        assert min(found.per_second) > 0


def test_integers_of_8_bits_change_little_and_make_the_file_small(tmp_path):
    faces = load_faces(Synthetic(), None)
    write_onnx(tmp_path / "a.onnx", load())
    large = (tmp_path / "a.onnx").stat().st_size
    quantise(tmp_path / "a.onnx", faces.train.images[:200].numpy())
    assert (tmp_path / "a.onnx").stat().st_size < large / 2
    found = check(tmp_path / "a.onnx", load(), faces.val)
    assert found.same > 0.9
    assert found.difference > 1e-3  # or nothing would have changed


class Pixels(nn.Module):
    def forward(self, images):
        return images.flatten(1)[:, :7]


def test_a_network_without_layers_cannot_have_8_bits(tmp_path, faces):
    write_onnx(tmp_path / "a.onnx", loaded(Pixels))
    with pytest.raises(InputError, match="int8 needs layers of kind Conv, Gemm, MatMul"):
        quantise(tmp_path / "a.onnx", faces[:10].numpy())


class Undecided(nn.Module):
    def forward(self, images):
        if images.sum() > 3:
            return images.flatten(1)[:, :7]
        return images.flatten(1)[:, 7:14]


def test_a_network_that_no_graph_can_have_is_one_line():
    with pytest.raises(InputError, match="a network: cannot be exported"):
        program(loaded(Undecided))


def test_a_run_is_exported_from_the_shell(shell, tmp_path):
    run = tmp_path / "run"
    shell("train.py", "trainer.max_epochs=1", f"hydra.run.dir={run}").check_returncode()
    shell("fer_lightning.evaluate", str(run), "split=val").check_returncode()
    out = tmp_path / "files" / "mlp.onnx"
    done = shell("fer_lightning.export", str(run), f"out={out}")
    assert (done.returncode, done.stderr) == (0, "")
    size, compared, accuracy, speed = done.stdout.splitlines()
    assert size == f"{out}: {out.stat().st_size:,} bytes"
    assert "100.00% the same answers" in compared
    assert "one at a time" in speed
    summary = json.loads((run / "summary.json").read_text())
    assert accuracy.startswith(f"accuracy {summary['best']['val']['acc']:.2%} in PyTorch")
    weights = tmp_path / "mlp.safetensors"
    shell("fer_lightning.export", str(run), f"out={weights}").check_returncode()
    assert load(weights).network.temperature == load(run).network.temperature
    assert sorted(p.name for p in (tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "out must be a file that ends in .onnx, .pt2, .safetensors, got None"),
        (["out=a.h5"], "out must be a file that ends in .onnx, .pt2, .safetensors, got 'a.h5'"),
        (["a", "b", "out=a.onnx"], "runs must be one run, or a checkpoint file, got ['a', 'b']"),
        (["nowhere", "out=a.onnx"], "no such run or checkpoint: nowhere"),
        (["out=a.pt2", "int8=true"], "int8 must be false but for an ONNX file, got True"),
        (["out=a.onnx", "int8=x"], "int8 must be true or false, got 'x'"),
        (["out=a.onnx", "data=nothing"], "data must be one of"),
    ],
)
def test_mistakes_are_one_line(shell, words, line):
    done = shell("fer_lightning.export", *words)
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
