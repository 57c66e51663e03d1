import numpy as np
import pytest
import torch

from gmm.maximising.given import given_means, given_precisions, given_weights
from gmm.structures import structure


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.5, 0.5, 0.0], "weights_init must be above 0"),
        ([0.7, 0.5, -0.2], "weights_init must be above 0"),
        ([0.2, 0.2, 0.2], r"weights_init must add up to 1, got 0\.60000"),
        ([0.5, 0.5], r"weights_init must have shape \(3,\), got \(2,\)"),
        ([0.5, torch.nan, 0.5], "weights_init must be above 0"),
    ],
)
def test_weights_are_positive_and_add_up_to_one(weights, message):
    with pytest.raises(ValueError, match=message):
        given_weights(torch.tensor(weights, dtype=torch.float64), 3)


def test_means_have_a_row_per_component():
    with pytest.raises(ValueError, match=r"means_init must have shape \(3, 2\), got \(2, 2\)"):
        given_means(torch.zeros(2, 2), 3, 2)
    with pytest.raises(ValueError, match="means_init must be finite"):
        given_means(torch.full((3, 2), torch.nan), 3, 2)


@pytest.mark.parametrize(
    ("name", "precisions"),
    [
        ("diag", [[1.0, 1.0], [1.0, 0.0]]),
        ("spherical", [1.0, -1.0]),
        ("tied", [[1.0, 0.5], [0.4, 1.0]]),
        ("tied", [[1.0, 2.0], [2.0, 1.0]]),
        ("full", [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]]),
    ],
)
def test_precisions_are_positive(name, precisions):
    with pytest.raises(ValueError, match=f"'{name} precision' should be .*positive"):
        given_precisions(torch.tensor(precisions), structure(name), 2, 2)


def test_precisions_become_their_inverse():
    precision = torch.tensor([[2.0, 0.3], [0.3, 1.0]], dtype=torch.float64)
    covariance = given_precisions(precision, structure("tied"), 3, 2)
    np.testing.assert_allclose(covariance, np.linalg.inv(precision.numpy()))
