"""Muon, against singular value decompositions and steps by hand."""

import pytest
import torch

from fer_lightning.errors import SettingError
from fer_lightning.training.optim.muon import orthogonalised
from fer_lightning.training.optim.optimizers import Muon


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (6, 6), (1, 8)])
def test_directions_stay_and_singular_values_become_about_one(shape):
    generator = torch.Generator().manual_seed(0)
    matrix, *others = (
        torch.randn(each, generator=generator).double() for each in (shape, (6, 9), (12, 6), (1, 1))
    )
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalised([*others, matrix])[-1]
    inside = u.mT @ found @ v.mT  # diagonal, if the directions are the same
    diagonal = inside.diagonal()
    torch.testing.assert_close(inside, diagonal.diag(), atol=1e-6, rtol=0)
    assert diagonal.min() > 0.65
    assert diagonal.max() < 1.25


def test_the_rounds_are_those_of_the_paper():
    """One after another, X <- a X + (b X X^T + c (X X^T)^2) X (Jordan et al., 2024)."""
    matrix = torch.randn(5, 12, generator=torch.Generator().manual_seed(3)).double()
    x = matrix / matrix.norm()
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    (found,) = orthogonalised([matrix])
    torch.testing.assert_close(found, x, rtol=1e-5, atol=1e-6)
    (single,) = orthogonalised([matrix.float()])
    torch.testing.assert_close(single.double(), x, rtol=1e-3, atol=1e-3)


def polar(matrix):
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    return u @ v


def test_two_steps_by_hand():
    torch.manual_seed(0)
    kernel = torch.nn.Parameter(torch.randn(3, 2, 2, 2, dtype=torch.float64))
    bias = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    last = torch.nn.Parameter(torch.randn(7, 3, dtype=torch.float64))
    start = [p.detach().clone() for p in (kernel, bias, last)]
    optimizer = Muon(lr=0.1, momentum=0.5, weight_decay=0.2, factor_others=3.0)(
        [kernel, bias, last]
    )
    gradients = [torch.randn_like(p) for p in (kernel, bias, last)]
    for _ in range(2):
        for p, gradient in zip((kernel, bias, last), gradients, strict=True):
            p.grad = gradient
        optimizer.step()
    # velocities g and 1.5 g, which half are added to g: 1.5 g, then 1.75 g
    for p, was, gradient in zip((bias, last), start[1:], gradients[1:], strict=True):
        torch.testing.assert_close(p.detach(), was - 0.3 * (1.5 + 1.75) * gradient)
    shrunk = start[0] * (1 - 0.1 * 0.2) ** 2
    step = polar(gradients[0].flatten(1)).view_as(start[0]) * 0.1
    taken = shrunk - kernel.detach()
    # each step is the nearest orthogonal matrix, of which the rounds keep 0.7 to 1.2
    cosine = (taken * step).sum() / taken.norm() / step.norm()
    assert cosine > 0.98
    assert 0.7 * 1.98 < taken.norm() / step.norm() < 1.2 * 1.98


def test_a_tall_matrix_takes_longer_steps():
    tall = torch.nn.Parameter(torch.zeros(32, 2))
    last = torch.nn.Parameter(torch.zeros(7, 32))
    optimizer = Muon(lr=1.0, momentum=0.0)([tall, last])
    tall.grad, last.grad = torch.randn(32, 2), torch.zeros(7, 32)
    optimizer.step()
    # the square root of rows by columns
    assert torch.linalg.matrix_norm(tall.detach(), 2).item() == pytest.approx(4, rel=0.3)


def test_its_state_goes_on_from_what_was_stored():
    def made():
        torch.manual_seed(1)
        network = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Linear(5, 7))
        return network, Muon(lr=0.05)(network.parameters())

    def train(network, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            network(torch.eye(4)).square().sum().backward()
            optimizer.step()

    whole, its = made()
    train(whole, its, 4)
    network, optimizer = made()
    train(network, optimizer, 2)
    again, of_it = made()
    again.load_state_dict(network.state_dict())
    of_it.load_state_dict(optimizer.state_dict())
    train(again, of_it, 2)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_closure_computes_the_gradients():
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = Muon(lr=0.1, momentum=0.0, factor_others=5.0)([weight])

    def loss():
        optimizer.zero_grad()
        value = weight.square().sum()
        value.backward()
        return value

    assert optimizer.step(loss).item() == 4
    assert weight.item() == 0


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"lr": 0}, "lr"),
        ({"lr": 0.1, "momentum": 1}, "momentum"),
        ({"lr": 0.1, "weight_decay": -1}, "weight_decay"),
        ({"lr": 0.1, "factor_others": 0}, "factor_others"),
    ],
)
def test_impossible_settings_are_refused_by_name(given, name):
    with pytest.raises(SettingError, match=rf"^{name} must be .*, got "):
        Muon(**given)
