import numpy as np
import pytest
import torch

from gmm.structures import whitening
from gmm.structures.roots import _by_halves, _of_whole


def test_whitening_is_an_upper_root_of_the_precision():
    covariance = torch.from_numpy(np.cov(np.random.default_rng(0).normal(size=(3, 50))))
    root, log_det = whitening(covariance)
    torch.testing.assert_close(root @ root.mT, torch.linalg.inv(covariance))
    torch.testing.assert_close(log_det, torch.logdet(covariance))
    assert root.tril(-1).abs().max() == 0


@pytest.mark.parametrize("n", [300, 513])
def test_the_inverse_root_by_halves_is_that_of_the_whole(n):
    generator = torch.Generator().manual_seed(2)
    roots = torch.randn(2, n, 2 * n, dtype=torch.float64, generator=generator)
    covariances = roots @ roots.mT
    whole = _of_whole(covariances)
    torch.testing.assert_close(_by_halves(covariances), whole, rtol=1e-8, atol=1e-12)


def test_a_singular_matrix_has_no_inverse_root():
    covariances = torch.eye(300, dtype=torch.float64).repeat(2, 1, 1)
    covariances[1, 280, 280] = 0
    broken = _by_halves(covariances).diagonal(dim1=-2, dim2=-1).isnan().any(-1)
    assert broken.tolist() == [False, True]
