"""The networks, against the study's equations written in NumPy."""

import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks import numpy_backprop
from fer_lightning.data.datamodule import FaceDataModule
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.data.minibatches import epoch_order
from fer_lightning.errors import InputError, SettingError
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.optim.optimizers import SGD


class Few:
    """A source of 25 faces in each split."""

    name = "few"

    def files(self):
        return []

    def read(self):
        rng = np.random.default_rng(3)
        pixels = rng.integers(0, 256, (3, 25, 48, 48), dtype=np.uint8)
        labels = rng.integers(0, 7, (3, 25))
        return FaceSplits(*map(Faces.from_arrays, pixels, labels))


def weights_of(model):
    return {name: weight.detach().numpy().copy() for name, weight in model.named_parameters()}


NETWORKS = {"mlp": (MLP, numpy_backprop.mlp), "cnn": (CNN, numpy_backprop.cnn)}


def numpy_step(by_hand, weights, x, labels):
    """Loss and gradients by the equations of the study."""
    logits, backward = by_hand(list(weights.values()), x)
    loss, d = numpy_backprop.cross_entropy(logits, labels)
    return loss, dict(zip(weights, backward(d), strict=True))


def noticeable(model):
    """The model in float64 with larger weights, so that no gradient is negligible."""
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.1)
    return model.double()


@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradients_equal_the_equations_of_the_study(name):
    network, by_hand = NETWORKS[name]
    model = ExpressionClassifier(noticeable(network())).double()
    faces = Few().read().train
    loss = F.cross_entropy(model(faces.images), faces.labels)
    loss.backward()
    x = faces.images.squeeze(1).numpy() / 255
    expected, gradients = numpy_step(by_hand, weights_of(model), x, faces.labels.numpy())
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-9)
    for key, parameter in model.named_parameters():
        assert np.abs(gradients[key]).max() > 1e-4
        np.testing.assert_allclose(parameter.grad, gradients[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", NETWORKS)
def test_two_epochs_of_training_equal_the_updates_of_the_study(name, momentum):
    network, by_hand = NETWORKS[name]
    model = ExpressionClassifier(noticeable(network()), SGD(lr=0.05, momentum=momentum)).double()
    weights = weights_of(model)
    faces = Few().read().in_canonical_order().train
    x, labels = faces.images.squeeze(1).numpy() / 255, faces.labels.numpy()
    velocity = {key: np.zeros_like(weight) for key, weight in weights.items()}
    for epoch in range(2):
        order = epoch_order(25, 8, epoch).numpy()
        for rows in np.split(order, [10, 20]):
            _, gradients = numpy_step(by_hand, weights, x[rows], labels[rows])
            for key in weights:
                velocity[key] = momentum * velocity[key] - 0.05 * gradients[key]
                weights[key] = weights[key] + velocity[key]

    datamodule = FaceDataModule(Few(), batch_size=10, seed=8)
    trainer_of(max_epochs=2).fit(model, datamodule=datamodule)
    for key, weight in weights_of(model).items():
        np.testing.assert_allclose(weight, weights[key], rtol=1e-9, atol=1e-11)


def trainer_of(**settings):
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )


# --- Shapes and starts ------------------------------------------------------------------------


def n_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (MLP(), 37_655),
        (CNN(), 10_599),
        (CNN(filters=(20, 40)), 25 * 20 + 20 + 25 * 20 * 40 + 40 + 40 * 64 * 7 + 7),
        (MLP(hidden=[50, 100]), 2304 * 50 + 50 + 50 * 100 + 100 + 700 + 7),
        (MLP(hidden=[3]), 2304 * 3 + 3 + 21 + 7),
        (CNN(filters=[4], kernel_size=3), 9 * 4 + 4 + 4 * 256 * 7 + 7),
        (CNN(filters=[2] * 7), 50 + 2 + 6 * (100 + 2) + 2 * 7 + 7),
    ],
)
def test_parameters_are_those_of_the_layers(model, expected):
    assert n_parameters(model) == expected
    assert model(torch.zeros(2, 1, 48, 48)).shape == (2, 7)


@pytest.mark.parametrize("model", [MLP(hidden=[100, 100]), CNN(filters=[50, 50])])
def test_weights_start_as_in_the_study(model):
    weights = [p for name, p in model.named_parameters() if name.endswith("weight")]
    for weight in weights:
        expected = 0.01 if weight is weights[-1] else 0.1
        # five standard errors of a standard deviation
        assert abs(weight.std().item() / expected - 1) < 5 / (2 * weight.numel()) ** 0.5
    assert all(not p.any() for name, p in model.named_parameters() if name.endswith("bias"))


def test_grey_levels_and_their_fractions_are_the_same_picture():
    images = torch.randint(0, 256, (3, 1, 48, 48), dtype=torch.uint8)
    model = ExpressionClassifier(CNN())
    assert torch.equal(model(images), model(images.float() / 255))


@pytest.mark.parametrize(
    ("network", "settings", "words"),
    [
        (MLP, {"hidden": []}, "hidden must be a list of at least one positive integer"),
        (MLP, {"hidden": [0]}, "hidden must"),
        (MLP, {"hidden": 16}, "hidden must"),
        (CNN, {"filters": [8, -1]}, "filters must"),
        (CNN, {"filters": [8.0]}, "filters must"),
        (CNN, {"kernel_size": 4}, "kernel_size must be odd"),
        (CNN, {"kernel_size": 0}, "kernel_size must be an integer of at least 1"),
    ],
)
def test_impossible_shapes_are_refused(network, settings, words):
    with pytest.raises(SettingError, match=words):
        network(**settings)


@pytest.mark.parametrize(
    "network", [MLP(hidden=(5, 6)), CNN(filters=(3,), kernel_size=3)], ids=["mlp", "cnn"]
)
def test_a_checkpoint_is_restored_in_a_line(network, tmp_path):
    model = ExpressionClassifier(network)
    trainer = trainer_of(max_epochs=1)
    trainer.fit(model, datamodule=FaceDataModule(Few(), batch_size=10))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    restored = ExpressionClassifier.load_from_checkpoint(tmp_path / "model.ckpt")
    assert n_parameters(restored) == n_parameters(model)
    images = torch.randint(0, 256, (3, 1, 48, 48), dtype=torch.uint8)
    assert torch.equal(restored.eval()(images), model.eval()(images))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"state_dict": CNN().state_dict(), "bomb": Bomb()}, tmp_path / "model.ckpt")
    with pytest.raises(InputError, match=r"model\.ckpt: .*which could run code"):
        ExpressionClassifier.load_from_checkpoint(tmp_path / "model.ckpt")
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    stored = {"state_dict": MLP().state_dict(), "hyper_parameters": {"hidden": [16, 32]}}
    path, load = tmp_path / "model.ckpt", ExpressionClassifier.load_from_checkpoint
    torch.save(stored | {"network": "MLP"}, path)
    assert load(path, optimizer=SGD(lr=7)).optimizer.lr == 7
    for name in ("CNN", "subprocess.Popen", "nowhere.Net", "torch.optim.SGD"):
        torch.save(stored | {"network": name}, path)
        with pytest.raises(InputError, match=r"model\.ckpt: the checkpoint must hold a network"):
            load(path)


@pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning")
def test_another_loader_of_pictures_and_labels_works_too():
    faces = Few().read().train
    pairs = torch.utils.data.TensorDataset(faces.images, faces.labels)
    model = ExpressionClassifier(MLP())
    before = weights_of(model)
    trainer = trainer_of(max_epochs=1)
    trainer.fit(model, torch.utils.data.DataLoader(pairs, batch_size=10))
    assert trainer.global_step == 3
    assert any(np.any(before[key] != weight) for key, weight in weights_of(model).items())
