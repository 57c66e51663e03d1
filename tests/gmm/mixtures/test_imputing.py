import numpy as np
import pytest
import torch
from holes import blobs_with_holes
from mixtures_at_random import mixture_batch, with_unused_slot
from oracles import STRUCTURES

import gmm


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("chunk_size", [None, 5])
def test_missing_values_become_their_mean_given_the_others(name, chunk_size):
    mixture = mixture_batch(name, D=4)
    x = torch.from_numpy(blobs_with_holes(30, 4, share=0.5))
    filled = mixture.impute(x, chunk_size=chunk_size)
    for row, found in zip(x, filled, strict=True):
        o = (~row.isnan()).nonzero().squeeze(-1).tolist()
        assert torch.equal(found[o], row[o])
        if not o:
            torch.testing.assert_close(found, mixture.mean)
        elif len(o) < 4:
            rest = [d for d in range(4) if d not in o]
            expected = mixture.condition(o, row[o]).mean
            torch.testing.assert_close(found[rest], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("shared", [0, 1, 2])
def test_a_batch_imputes_as_its_mixtures_do(name, shared):
    mixtures = with_unused_slot(mixture_batch(name, (2, 3), D=3))
    each = [torch.from_numpy(blobs_with_holes(12, 3, seed=i)) for i in range(6)]
    x = torch.stack(each).reshape(2, 3, 12, 3)
    x = {0: x[0, 0], 1: x[:, 0], 2: x}[shared]
    filled = mixtures.impute(x)
    assert filled.shape == (2, 3, 12, 3)
    for at in np.ndindex(2, 3):
        alone = mixtures[at].impute(x[at[:shared]])
        torch.testing.assert_close(filled[at], alone, rtol=1e-10, atol=1e-10)


def test_complete_points_stay_as_they_are():
    x = torch.rand(5, 2)
    filled = gmm.Mixture(torch.zeros(3, 1), torch.zeros(3, 1, 2), torch.ones(3, 1, 2)).impute(x)
    assert torch.equal(filled, x.expand(3, 5, 2))
    assert filled.data_ptr() != x.data_ptr()


def test_factors_and_noise_impute_as_the_same_matrices():
    x = torch.from_numpy(blobs_with_holes(20, 4))
    whole = x.nan_to_num(5)
    mixture = gmm.fit_many(whole, 2, covariance_type="factor", n_factors=2, max_iter=3).mixture
    torch.testing.assert_close(mixture.impute(x), mixture._with_precisions().impute(x))


def test_the_means_minimise_the_squared_error_of_points_that_are_drawn():
    mixture = mixture_batch("full", D=3)
    x, _ = mixture.sample(4000, torch.Generator().manual_seed(0))
    holes = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    filled = mixture.impute(x.masked_fill(holes, torch.nan))
    error = (filled - x)[holes].square().mean()
    for factor in (0.8, 1.2):  # towards the mean of the mixture, or away from it
        other = mixture.mean + factor * (filled - mixture.mean)
        assert error < (other - x)[holes].square().mean()


def test_infinity_and_other_shapes_are_refused():
    mixture = mixture_batch("diag", D=3)
    with pytest.raises(ValueError, match="got infinity in row 1"):
        mixture.impute(torch.tensor([[0, 1, 2], [torch.inf, torch.nan, 0]]))
    with pytest.raises(ValueError, match="x must have 3 features, got 2"):
        mixture.impute(torch.zeros(4, 2))
