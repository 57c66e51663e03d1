"""What the compiled loops are compared with: a network by itself, trained by PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fer_lightning.data.minibatches import epoch_order
from fer_lightning.fused.engine import FusedTraining, Member


def images_of(m: Member) -> torch.Tensor:
    return m.splits.train.images.to(next(m.network.parameters()).dtype) / 255


def train_alone(m: Member, batch_size: int, epochs: int, rates=None) -> list[float]:
    """Train in place, and return the mean cross-entropies of the epochs."""
    layers, images, labels = m.network.layers, images_of(m), m.splits.train.labels
    optimizer = m.optimizer(layers.parameters())
    means = []
    for epoch in range(epochs):
        total = 0.0
        for step, rows in enumerate(epoch_order(len(labels), m.seed, epoch).split(batch_size)):
            if rates is not None:
                optimizer.param_groups[0]["lr"] = rates[step]
            loss = F.cross_entropy(layers(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        means.append(total / len(labels))
    return means


def assert_as_alone(members: list[Member], batch_size: int, epochs=3, rtol=1e-10) -> None:
    training = FusedTraining(members, batch_size)
    assert training.native is not None
    means = torch.stack([training.train_epoch(epoch).ce for epoch in range(epochs)], 1)
    validated = training.validate()
    for m, one in enumerate(members):
        np.testing.assert_allclose(means[m], train_alone(one, batch_size, epochs), rtol=rtol)
        for name, weight in training.network.state_dict(m).items():
            own = one.network.state_dict()[name]
            torch.testing.assert_close(weight, own, rtol=100 * rtol, atol=rtol)
        with torch.no_grad():
            logits, labels = one.network.layers(images_of(one)), one.splits.val.labels
        np.testing.assert_allclose(validated.ce[m], F.cross_entropy(logits, labels), rtol=rtol)
        right = (logits.argmax(1) == labels).double().mean()
        assert validated.acc[m].item() == pytest.approx(right)


def first_means(members: list[Member], n_threads: int, batch_size=2) -> torch.Tensor:
    """Return the mean cross-entropies of a first epoch, trained with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        return FusedTraining(members, batch_size).train_epoch(0).ce
    finally:
        torch.set_num_threads(before)
