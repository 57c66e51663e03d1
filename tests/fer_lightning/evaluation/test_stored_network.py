import json

import pytest
import torch

from fer_lightning.errors import InputError
from fer_lightning.evaluation import load_network
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.runs import find_network, find_networks
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier


def stored(model, **changes):
    content = {"state_dict": model.state_dict(), "hyper_parameters": model.settings}
    return {**content, "network": type(model).__name__, "epoch": 4} | changes


@pytest.fixture
def save(tmp_path):
    def write(content):
        torch.save(content, tmp_path / "x.ckpt")
        return tmp_path / "x.ckpt"

    return write


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "metrics.csv").touch()
    return folder


@pytest.mark.parametrize("model", [MLP([3, 5, 2]), CNN([2, 3], kernel_size=3), MLP([4]).double()])
def test_a_network_comes_back_as_it_was(save, model):
    path = save(stored(model))
    loaded, epoch = load_network(path)
    assert epoch == 5
    images = torch.randint(256, (2, 1, 48, 48), dtype=torch.uint8)
    with torch.no_grad():
        images = images.to(next(model.parameters()).dtype) / 255
        assert torch.equal(loaded(images), model(images))
        assert torch.equal(ExpressionClassifier.load_from_checkpoint(path)(images), model(images))
    assert not loaded.training


def test_what_a_loss_has_learnt_is_none_of_the_network(save):
    content = stored(MLP([3]))
    weights = {f"network.{name}": weight for name, weight in content["state_dict"].items()}
    loaded, _ = load_network(save(content | {"state_dict": {**weights, "loss.w": torch.ones(7)}}))
    assert loaded.network.state_dict().keys() == content["state_dict"].keys()


@pytest.mark.parametrize("which", ["best", "last"])
def test_the_epoch_is_that_of_the_run(train_here, tmp_path, which):
    train_here("run", "optim.lr=0.1")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    _, epoch = load_network(find_network(str(tmp_path / "run"), which).checkpoint)
    assert epoch == summary["best" if which == "best" else "final"]["epoch"]


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {}},
        [1, 2],
        stored(MLP([3]), network="ResNet"),
        stored(MLP([3]), network=["MLP"]),
        stored(MLP([3]), hyper_parameters={"hidden": [4]}),
        stored(MLP([3]), hyper_parameters={"hidden": "many"}),
        stored(MLP([3]), hyper_parameters={"depth": 3}),
        stored(MLP([3]), state_dict=CNN().state_dict()),
        stored(MLP([3]), state_dict={}),
        stored(MLP([3]), epoch=None),
    ],
)
def test_other_checkpoints_are_refused(save, content):
    with pytest.raises(InputError, match=r"x\.ckpt: not a checkpoint of one of this project's"):
        load_network(save(content))


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_damaged_checkpoints_are_refused(save, keep):
    path = save(stored(MLP([3])))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if keep == 0.5 else keep])
    with pytest.raises(InputError, match=r"x\.ckpt: not a checkpoint, or a damaged one") as raised:
        load_network(path)
    assert "\n" not in str(raised.value)


def test_checkpoints_with_code_in_them_are_refused(save):
    class Trap:
        def __reduce__(self):
            return print, ("the code in a checkpoint ran",)

    with pytest.raises(InputError, match="not a checkpoint, or a damaged one"):
        load_network(save({"network": Trap()}))


def test_diverged_networks_are_refused(save):
    model = MLP([3])
    with torch.no_grad():
        next(model.parameters())[0] = torch.nan
    with pytest.raises(InputError, match="this network has diverged"):
        load_network(save(stored(model)))


def test_a_checkpoint_inside_a_run_belongs_to_it_and_another_to_none(run, tmp_path):
    for path, folder in ((run / "checkpoints" / "last.ckpt", run), (tmp_path / "x.ckpt", None)):
        path.touch()
        found = find_network(str(path), "best")
        assert (found.folder, found.checkpoint) == (folder, path)
    (run / "checkpoints" / "best.ckpt").touch()
    assert find_network(str(run), "best").checkpoint == run / "checkpoints" / "best.ckpt"


def test_a_sweep_stands_for_its_runs_in_their_order(tmp_path, caplog):
    for name, files in (("10_b", ["best"]), ("2_a", ["best", "last"]), ("3_c", [])):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "metrics.csv").touch()
        for file in files:
            (tmp_path / name / "checkpoints" / f"{file}.ckpt").touch()
    (tmp_path / "summary.csv").touch()
    found = find_networks(str(tmp_path), "best")
    assert [network.folder.name for network in found] == ["2_a", "10_b"]
    assert "3_c: left out: the run has no checkpoints/best.ckpt" in caplog.text
    (run,) = find_networks(str(tmp_path / "2_a"), "last")
    assert run == find_network(str(tmp_path / "2_a"), "last")


def test_what_is_no_run_is_named(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for path, words in (
        (tmp_path / "gone", "no such run or checkpoint: .*gone"),
        (tmp_path / "empty", "empty: not the folder of a network's run"),
        (run, "the run has no checkpoints/best.ckpt, or not yet"),
    ):
        with pytest.raises(InputError, match=words):
            find_network(str(path), "best")
    (run / "summary.json").write_text('{"diverged": true, "diverged_epoch": 1}')
    with pytest.raises(InputError, match=r"diverged in epoch 1; it has no checkpoints/best\.ckpt"):
        find_network(str(run), "best")
    (run / "summary.json").write_text('{"diver')
    with pytest.raises(InputError, match=r"summary\.json cannot be read"):
        find_network(str(run), "best")
