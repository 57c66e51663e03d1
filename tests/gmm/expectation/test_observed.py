"""The E-step of points with missing values, against scipy and loops over points."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from holes import blobs_with_holes, em_step, observed_log_joint
from mixtures_at_random import mixture_batch, with_unused_slot
from oracles import STRUCTURES, blobs, mixture_of, parameters

import gmm
from gmm.expectation.e_step import completion, expect
from gmm.points import Block, Points, patterns
from gmm.structures import Columns


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_densities_are_those_of_the_observed_features(name, chunk_size):
    x, p = blobs_with_holes(40, 4), parameters(blobs(40, 4), 3, name)
    x[3] = np.nan
    mixture, points = mixture_of(p, name), torch.from_numpy(x)
    joint = observed_log_joint(x, p, name)
    evidence = np.logaddexp.reduce(joint, axis=1)
    ask = {"chunk_size": chunk_size, "missing": True}
    np.testing.assert_allclose(mixture.log_joint(points, **ask), joint, rtol=1e-10)
    np.testing.assert_allclose(
        mixture.score_samples(points, **ask), evidence, rtol=1e-10, atol=1e-14
    )
    resp = np.exp(joint - evidence[:, None])
    np.testing.assert_allclose(mixture.predict_proba(points, **ask), resp, rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(mixture.predict(points, **ask), joint.argmax(1))
    np.testing.assert_allclose(mixture.score(points, **ask), evidence.mean(), rtol=1e-10)
    penalty = int(mixture.n_parameters)
    np.testing.assert_allclose(
        mixture.bic(points, missing=True), penalty * np.log(40) - 2 * evidence.sum()
    )
    np.testing.assert_allclose(mixture.aic(points, missing=True), 2 * penalty - 2 * evidence.sum())


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_point_without_any_value_has_density_one_and_the_weights_for_responsibilities(name):
    mixture, x = mixture_batch(name), torch.full((2, 2), torch.nan, dtype=torch.float64)
    torch.testing.assert_close(
        mixture.score_samples(x, missing=True), torch.zeros(2).double(), rtol=0, atol=1e-14
    )
    torch.testing.assert_close(mixture.predict_proba(x, missing=True), mixture.weights.expand(2, 3))


@pytest.mark.parametrize("name", ["factor", "ppca"])
def test_densities_of_factors_and_noise_are_those_of_the_same_matrices(name):
    x = torch.from_numpy(blobs_with_holes(30, 4))
    whole = torch.from_numpy(blobs(30, 4))
    mixture = gmm.fit_many(whole, 2, covariance_type=name, n_factors=2, max_iter=3).mixture
    full = mixture._with_precisions()
    torch.testing.assert_close(
        mixture.score_samples(x, missing=True), full.score_samples(x, missing=True)
    )


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("chunk_size", [None, 11])
def test_a_step_is_that_of_loops_over_points(name, chunk_size):
    x, p = blobs_with_holes(60, 4), parameters(blobs(60, 4), 3, name)
    x[5] = np.nan
    fit = gmm.fit_em(
        torch.from_numpy(x), mixture_of(p, name), max_iter=1, chunk_size=chunk_size, missing=True
    )
    after = em_step(x, p, name)
    evidence = np.logaddexp.reduce(observed_log_joint(x, p, name), axis=1)
    np.testing.assert_allclose(fit.log_likelihood[0], evidence.mean(), rtol=1e-12)
    np.testing.assert_allclose(fit.mixture.weights, after["weights"], rtol=1e-10)
    np.testing.assert_allclose(fit.mixture.means, after["means"], rtol=1e-10)
    np.testing.assert_allclose(fit.mixture.covariances, after["covariances"], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", STRUCTURES)
def test_sums_of_complete_points_are_those_of_the_e_step_without_masks(name):
    points = Points([torch.from_numpy(blobs(50, 3, seed=g)) for g in (0, 1)])
    mixture = with_unused_slot(mixture_batch(name, (2, 2), D=3))
    begun = mixture.relative_to(points.center.double())
    columns, factors = Columns.of(begun.log_weights), mixture.structure.factor(begun.covariances)
    plain = expect(points, begun, factors, columns, entropy=True)
    (block,) = points.blocks()
    found = completion(begun, columns).sums(replace(block, observed=torch.ones_like(block.x)))
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(found.counts, plain.counts, **close)
    torch.testing.assert_close(found.log_evidence, plain.log_evidence, **close)
    torch.testing.assert_close(found.entropy, plain.entropy, **close)
    for a, b in zip(
        mixture.structure.update(found.counts, found.moments, begun.means, columns),
        mixture.structure.update(plain.counts, plain.moments, begun.means, columns),
        strict=True,
    ):
        torch.testing.assert_close(a[..., :3, :], b[..., :3, :], **close)


@pytest.mark.parametrize("name", STRUCTURES)
def test_weights_of_points_act_as_repetitions(name):
    x, weights = torch.from_numpy(blobs_with_holes(30, 3)), torch.arange(1, 31) % 3 + 1
    mixture = mixture_batch(name, (1, 2), D=3)
    weighted = Points([x], weights=[weights], missing=True)
    repeated = Points([x.repeat_interleave(weights, 0)], missing=True)
    begun = mixture.relative_to(weighted.center)
    columns = Columns.of(begun.log_weights)
    of_both = [
        expect(points, begun, mixture.structure.factor(begun.covariances), columns)
        for points in (weighted, repeated)
    ]
    one, other = ((s.counts, s.log_evidence, *s.moments) for s in of_both)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["tied", "full"])
def test_what_is_kept_at_once_does_not_change_the_sums(name, monkeypatch):
    x = torch.from_numpy(blobs_with_holes(80, 4))
    start = mixture_batch(name, (2,), D=4)
    at_once = gmm.fit_em(x, start, max_iter=2, missing=True)
    monkeypatch.setattr(patterns, "bytes_of_block", lambda _: 1)
    one_by_one = gmm.fit_em(x, start, max_iter=2, missing=True)
    for a, b in zip(at_once.mixture.tensors(), one_by_one.mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", STRUCTURES)
def test_nothing_of_points_times_components_times_features_is_made(name):
    N, K, D = 2000, 16, 16
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, D, generator=generator, dtype=torch.float64)
    x[torch.rand(N, D, generator=generator) < 0.3] = torch.nan
    start = gmm.make_start(x, K, covariance_type=name, missing=True)[0]
    points = Points([x], chunk_size=100, missing=True)
    begun = start.reshape((1, 1)).relative_to(points.center)
    of_observed = completion(begun)
    largest = 0
    with _Largest() as mode:
        for block in points.blocks():
            of_observed.sums(block)
        largest = mode.largest
    assert largest < N * K * D


class _Largest(torch.utils._python_dispatch.TorchDispatchMode):
    """Remembers the numbers of the largest tensor that is made."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, tuple | list) else [out]:
            if isinstance(t, torch.Tensor):
                self.largest = max(self.largest, t.numel())
        return out


def test_a_block_says_that_it_has_all_values_by_having_no_mask():
    (block,) = Points([torch.rand(4, 2)], missing=True).blocks()
    assert isinstance(block, Block)
    assert block.observed is None
