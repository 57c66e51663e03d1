import pytest
import torch
from oracles import STRUCTURES, blobs

import gmm


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("init", ["random", "kmeans"])
def test_every_fit_of_many_equals_the_separate_fit_from_the_same_start(name, init):
    sets = [torch.from_numpy(blobs(n, 3, seed=n)) for n in (40, 25, 90)]
    options = {"max_iter": 12, "reg_covar": 1e-6}
    many = gmm.fit_many(
        sets,
        [2, 4],
        n_init=3,
        start=gmm.Start(init),
        covariance_type=name,
        generator=generator(),
        **options,
    )
    assert many.mixture.batch_shape == (3, 2)
    for g, x in enumerate(sets):
        for j in range(2):
            for r in range(3):
                alone = gmm.fit_em(x, many.starts[g, j, r], **options)
                together = many.restarts.mixture[g, j, r]
                assert many.restarts.n_iter[g, j, r] == alone.n_iter
                for a, b in zip(together.tensors(), alone.mixture.tensors(), strict=True):
                    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_the_best_restart_is_kept_and_all_log_likelihoods_told():
    x = torch.from_numpy(blobs(120, 2, K=5))
    many = gmm.fit_many(
        x, 5, n_init=6, start=gmm.Start("random"), generator=generator(), max_iter=30
    )
    assert many.restarts.log_likelihood.shape[0] == 6
    final = many.restarts.final_log_likelihood
    assert final[many.best] == final.max() > final.min()
    best = many.restarts.mixture[int(many.best)]
    torch.testing.assert_close(many.mixture.means, best.means)
    assert many.log_likelihood[many.n_iter - 1] == final.max()


def test_one_data_set_and_one_k_need_no_batch():
    many = gmm.fit_many(torch.rand(30, 2), 2, generator=generator(), reg_covar=1e-6)
    assert many.mixture.means.shape == (2, 2)
    assert many.mixture.means.dtype == torch.float32
    assert many.best.shape == ()


def test_integers_are_points_too():
    x = torch.randint(0, 256, (50, 4), dtype=torch.uint8, generator=generator())
    many = gmm.fit_many(x, 2, generator=generator(), max_iter=3)
    again = gmm.fit_many(x.float(), 2, generator=generator(), max_iter=3)
    torch.testing.assert_close(many.mixture.means, again.mixture.means)
