import numpy as np
import pytest
import torch

from gmm.structures import whitening
from gmm.structures.roots import _by_halves, _of_whole, _side_by_side, inverse_root


def test_whitening_is_an_upper_root_of_the_precision():
    covariance = torch.from_numpy(np.cov(np.random.default_rng(0).normal(size=(3, 50))))
    root, log_det = whitening(covariance)
    torch.testing.assert_close(root @ root.mT, torch.linalg.inv(covariance))
    torch.testing.assert_close(log_det, torch.logdet(covariance))
    assert root.tril(-1).abs().max() == 0


@pytest.mark.parametrize("way", [_by_halves, _side_by_side])
@pytest.mark.parametrize("n", [300, 513])
def test_other_ways_to_the_inverse_root_are_those_of_the_whole(n, way):
    generator = torch.Generator().manual_seed(2)
    roots = torch.randn(2, n, 2 * n, dtype=torch.float64, generator=generator)
    covariances = roots @ roots.mT
    whole = _of_whole(covariances)
    kept = covariances.clone()
    torch.testing.assert_close(way(covariances), whole, rtol=1e-8, atol=1e-12)
    assert way(covariances).triu(1).abs().max() == 0
    assert covariances.equal(kept)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_inverse_roots_of_any_batch_and_type(dtype):
    roots = torch.randn(2, 3, 120, 200, dtype=dtype, generator=torch.Generator().manual_seed(3))
    covariances = roots @ roots.mT / 200
    inverse = inverse_root(covariances)
    torch.testing.assert_close(
        inverse @ covariances @ inverse.mT,
        torch.eye(120, dtype=dtype).expand(2, 3, 120, 120),
        rtol=0,
        atol=1e-3 if dtype == torch.float32 else 1e-10,
    )


@pytest.mark.parametrize("way", [_by_halves, _side_by_side])
def test_a_singular_matrix_has_no_inverse_root(way):
    covariances = torch.eye(300, dtype=torch.float64).repeat(2, 1, 1)
    covariances[1, 280, 280] = 0
    broken = way(covariances).diagonal(dim1=-2, dim2=-1).isnan().any(-1)
    assert broken.tolist() == [False, True]
