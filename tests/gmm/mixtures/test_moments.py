import numpy as np
import pytest
import torch
from mixtures_at_random import mixture_batch, with_unused_slot
from oracles import STRUCTURES, matrices


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_the_moments_are_those_of_a_weighted_sum_over_components(name, batch):
    mixture = mixture_batch(name, batch, D=4)
    padded = with_unused_slot(mixture, torch.nan)
    assert padded.mean.shape == (*batch, 4)
    assert padded.covariance.shape == (*batch, 4, 4)
    for at in np.ndindex(*batch):
        weights, means = mixture.weights[at].numpy(), mixture.means[at].numpy()
        of_each = matrices(mixture.covariances[at].numpy(), name, 3, 4)
        mean = sum(w * m for w, m in zip(weights, means, strict=True))
        second = sum(
            w * (C + np.outer(m, m)) for w, m, C in zip(weights, means, of_each, strict=True)
        )
        np.testing.assert_allclose(padded.mean[at], mean)
        np.testing.assert_allclose(padded.covariance[at], second - np.outer(mean, mean))


def test_moments_far_from_the_origin_keep_their_digits():
    mixture = mixture_batch("full", D=3).to(torch.float32)
    expected = mixture.to(torch.float64).covariance
    torch.testing.assert_close(mixture.covariance.double(), expected, rtol=1e-6, atol=0)
    assert mixture.covariance.dtype == mixture.mean.dtype == torch.float32


def test_a_covariance_is_the_same_wherever_the_origin_is():
    mixture = mixture_batch("diag", D=3)
    moved = mixture_batch("diag", D=3)
    moved.means.add_(1e8)
    torch.testing.assert_close(moved.covariance, mixture.covariance, rtol=1e-7, atol=1e-7)
