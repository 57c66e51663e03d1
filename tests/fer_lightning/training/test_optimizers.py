import pytest
import torch

from fer_lightning.errors import SettingError
from fer_lightning.training.optim.optimizers import SGD, AdamW


def two_steps(settings):
    """A weight of 2 after two steps along a gradient of 3."""
    weight = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    optimizer = settings([weight])
    for _ in range(2):
        weight.grad = torch.tensor(3.0, dtype=torch.float64)
        optimizer.step()
    return weight.item()


def test_sgd_with_momentum_and_weight_decay_by_hand():
    assert two_steps(SGD(lr=0.1)) == pytest.approx(2 - 0.3 - 0.3)
    # v = 3, then 0.5 * 3 + 3
    assert two_steps(SGD(lr=0.1, momentum=0.5)) == pytest.approx(2 - 0.3 - 0.45)
    # Nesterov adds 0.5 v to the gradient: 3 + 1.5, then 3 + 0.5 * 4.5
    assert two_steps(SGD(lr=0.1, momentum=0.5, nesterov=True)) == pytest.approx(2 - 0.45 - 0.525)
    # gradients 3 + 0.1 * 2, then 3 + 0.1 * 1.68
    assert two_steps(SGD(lr=0.1, weight_decay=0.1)) == pytest.approx(2 - 0.32 - 0.3168)


def test_adamw_by_hand():
    # at a constant gradient each step is lr; the decay takes lr * weight_decay of the weight first
    first = 2 * (1 - 0.1 * 0.01) - 0.1
    assert two_steps(AdamW(lr=0.1)) == pytest.approx(first * (1 - 0.001) - 0.1, rel=1e-7)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: SGD(lr=0), "lr"),
        (lambda: SGD(lr=-1), "lr"),
        (lambda: SGD(lr=float("nan")), "lr"),
        (lambda: SGD(lr=float("inf")), "lr"),
        (lambda: SGD(lr="0.1"), "lr"),
        (lambda: SGD(lr=0.1, momentum=1), "momentum"),
        (lambda: SGD(lr=0.1, momentum=-0.1), "momentum"),
        (lambda: SGD(lr=0.1, weight_decay=-1), "weight_decay"),
        (lambda: SGD(lr=0.1, nesterov=True), "momentum"),
        (lambda: AdamW(lr=None), "lr"),
        (lambda: AdamW(lr=0.1, betas=(0.9, 1.0)), "betas"),
        (lambda: AdamW(lr=0.1, betas=(0.9,)), "betas"),
        (lambda: AdamW(lr=0.1, eps=0), "eps"),
    ],
)
def test_impossible_settings_are_refused_by_name(make, name):
    with pytest.raises(SettingError, match=rf"^{name} must be .*, got ") as caught:
        make()
    assert caught.value.name == name
