import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs, mixture_of, parameters, scipy_log_joint

import gmm
from gmm.expectation.density import Density
from gmm.points import Points


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_log_joint_is_that_of_scipy(name, chunk_size):
    x = blobs(60, 4)
    p = parameters(x, 3, name)
    joint = mixture_of(p, name).log_joint(torch.from_numpy(x), chunk_size)
    np.testing.assert_allclose(joint, scipy_log_joint(x, p, name), rtol=1e-10)


def faces_like(n, D, seed=0):
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=(n, 24)) @ rng.normal(size=(24, D)) / 5 + rng.normal(size=(n, D)) * 0.3
    return np.clip(0.5 + 0.25 * smooth, 0, 1)


def test_undecided_points_have_the_responsibilities_of_float64():
    x = torch.from_numpy(faces_like(400, 2304).astype(np.float32))
    # Two means so close that nearly every point is between them.
    means = x[:1] + torch.tensor([[0.0], [2e-5]])
    mixture = gmm.Mixture(torch.zeros(2).log_softmax(0), means, torch.full((2, 2304), 1e-2))
    resp = mixture.predict_proba(x)
    expected = mixture.to(torch.float64).predict_proba(x.double())
    assert ((expected > 0.01) & (expected < 0.99)).double().mean() > 0.5
    np.testing.assert_allclose(resp, expected, atol=2e-6)


def test_wide_float32_points_are_worked_on_in_float32():
    x = torch.from_numpy(faces_like(20, 2304).astype(np.float32))
    points = Points([x])
    assert next(points.blocks()).x.dtype == torch.float32
    mixture = gmm.Mixture(torch.zeros(1), x[:1], torch.ones(1, 2304)).reshape((1, 1))
    joint, _ = Density(mixture.relative_to(points.center.double()))(next(points.blocks()))
    expected = -0.5 * ((x - x[:1]).double().square().sum(-1) + 2304 * np.log(2 * np.pi))
    np.testing.assert_allclose(joint[0, :, 0, 0], expected, rtol=1e-6)
