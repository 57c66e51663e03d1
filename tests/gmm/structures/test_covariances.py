import numpy as np
import pytest
import torch
from oracles import STRUCTURES, matrices, parameters

from gmm.structures import structure


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_number_of_parameters_counts_free_numbers(name):
    expected = {"diag": 12, "spherical": 3, "tied": 10, "full": 30}  # K = 3, D = 4
    assert structure(name).n_parameters(3, 4) == expected[name]


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_inverse_is_that_of_the_matrices(name):
    covariances = parameters(np.random.default_rng(0).normal(size=(50, 4)), 3, name)["covariances"]
    inverse = structure(name).inverse(torch.from_numpy(covariances)).numpy()
    np.testing.assert_allclose(
        matrices(inverse, name, 3, 4), np.linalg.inv(matrices(covariances, name, 3, 4))
    )


@pytest.mark.parametrize("name", ["tied", "full"])
def test_the_floor_raises_small_eigenvalues_and_leaves_the_others(name):
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    covariance = torch.from_numpy((q * [1e-3, 0.2, 1.0, 3.0]) @ q.T)
    stacked = covariance if name == "tied" else covariance.expand(2, 4, 4)
    floored = structure(name).floor(stacked, 0.0, 0.1).reshape(-1, 4, 4)[0].numpy()
    np.testing.assert_allclose(np.linalg.eigvalsh(floored), [0.1, 0.2, 1, 3])
    np.testing.assert_allclose(np.diag(q.T @ floored @ q), [0.1, 0.2, 1, 3])


@pytest.mark.parametrize("name", STRUCTURES)
def test_reg_covar_is_added_to_the_diagonal_before_the_floor(name):
    ones = structure(name).from_variances(torch.ones(2, 3, dtype=torch.float64))
    floor = structure(name).floor
    expected = 1.5 * matrices(ones.numpy(), name, 2, 3)
    np.testing.assert_allclose(matrices(floor(ones, 0.5, 1.2).numpy(), name, 2, 3), expected)


@pytest.mark.parametrize("name", STRUCTURES)
def test_what_has_no_density_is_singular(name):
    variances = torch.ones(3, 2, dtype=torch.float64)
    variances[1, 0] = 0 if name != "spherical" else -2
    covariances = structure(name).from_variances(variances)
    if name == "tied":
        covariances = torch.ones(2, 2, dtype=torch.float64)
    expected = [True] * 3 if name == "tied" else [False, True, False]
    kind = structure(name)
    assert kind.is_singular(covariances, kind.factor(covariances), 3).tolist() == expected


def test_an_unknown_structure_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"must be one of \['diag', .*, got 'round'"):
        structure("round")
