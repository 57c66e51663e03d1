import numpy as np
import torch

from gmm.structures import whitening


def test_whitening_is_an_upper_root_of_the_precision():
    covariance = torch.from_numpy(np.cov(np.random.default_rng(0).normal(size=(3, 50))))
    root, log_det = whitening(covariance)
    torch.testing.assert_close(root @ root.mT, torch.linalg.inv(covariance))
    torch.testing.assert_close(log_det, torch.logdet(covariance))
    assert root.tril(-1).abs().max() == 0
