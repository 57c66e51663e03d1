"""When the steps of the fused training are compiled, and that this changes no result."""

import shutil

import pytest
import torch

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.errors import InputError
from fer_lightning.fused import compiling, engine
from fer_lightning.fused.compiling import Compilation
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.fused.native.epochs import native_epochs
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optim.optimizers import SGD


@pytest.fixture(autouse=True)
def products(monkeypatch):
    """Leave steps to products of tensors."""
    monkeypatch.setattr(engine, "native_epochs", lambda *_: None)


def training(n_models: int = 2, device: str = "cpu") -> FusedTraining:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (10, 1, 48, 48), dtype=torch.uint8, generator=generator)
    labels = torch.arange(10) % 7
    faces = Faces(images, labels, labels, labels).to(device)
    splits = FaceSplits(faces, faces, faces)
    torch.manual_seed(0)
    optimizers = [SGD(0.01 * (m + 1), momentum=0.5) for m in range(n_models)]
    networks = [MLP((5,)).to(device, torch.float64) for o in optimizers]
    members = [Member(n, o, splits, seed=0) for n, o in zip(networks, optimizers, strict=True)]
    return FusedTraining(members, batch_size=4)  # two whole minibatches and a short one


@pytest.fixture
def steps(monkeypatch):
    """Stand-ins for compiled steps and their times: `compiled` and `plain` ms."""

    def stand_in(plain, compiled):
        def milliseconds(training, step):
            return plain if step is None else compiled

        monkeypatch.setattr(compiling, "compiled_step", lambda training: "compiled")
        monkeypatch.setattr(compiling, "_milliseconds", milliseconds)

    return stand_in


@pytest.mark.parametrize(
    ("wanted", "seconds_left", "compiled_ms", "is_compiled"),
    [
        (None, 61, 1.0, True),
        (None, 61, 3.0, False),
        (None, 59, 1.0, False),
        (True, 0, 3.0, True),
        (False, 1e9, 1.0, False),
    ],
)
def test_steps_are_compiled_where_it_pays_or_is_asked_for(
    steps, wanted, seconds_left, compiled_ms, is_compiled
):
    steps(plain=2.0, compiled=compiled_ms)
    trained = training()
    told = Compilation(trained, wanted).consider(seconds_left)
    assert (trained.compiled == "compiled") == is_compiled
    assert (told is None) == (wanted is False or seconds_left == 59)
    if told:
        assert f"{compiled_ms:.2f} ms compiled and 2.00 ms not" in told


def test_it_is_decided_once(steps):
    steps(plain=2.0, compiled=1.0)
    trained = training()
    compilation = Compilation(trained, None)
    assert compilation.consider(10) is None
    assert compilation.consider(1e9) is None
    assert trained.compiled is None


def test_a_compiler_that_fails_ends_a_training_only_if_it_was_asked_for(monkeypatch):
    def fail(training):
        raise RuntimeError("no g++")

    monkeypatch.setattr(compiling, "compiled_step", fail)
    assert "not compiled" in Compilation(training(), None).consider(1e9)
    with pytest.raises(InputError, match=r"compile must be false here.*no g\+\+"):
        Compilation(training(), True).consider(0)


@pytest.mark.skipif(shutil.which("g++") is None, reason="PyTorch compiles with g++")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from within PyTorch's compiler
def test_compiled_steps_give_the_same_curves_and_weights():
    plain, compiled = training(), training()
    for epoch in range(3):
        a, b = plain.train_epoch(epoch), compiled.train_epoch(epoch)
        torch.testing.assert_close(a.ce, b.ce, rtol=1e-12, atol=0)
        if epoch == 0:
            Compilation(compiled, True).consider(0)
            assert compiled.compiled is not None
    for p, q in zip(plain.tensors(), compiled.tensors(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-11, atol=1e-13)


def test_loops_that_are_compiled_are_not_compiled_again(monkeypatch):
    monkeypatch.setattr(engine, "native_epochs", native_epochs)
    fused = training()
    assert Compilation(fused, None).consider(1000) is None
    told = Compilation(fused, True).consider(1000)
    assert told == "steps are loops that are compiled already"
    assert fused.compiled is None
