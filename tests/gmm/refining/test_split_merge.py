import itertools

import numpy as np
import pytest
import torch
from mixtures_at_random import mixture_batch, with_unused_slot
from oracles import STRUCTURES, blobs, scipy_log_joint
from scipy.stats import norm

import gmm
from gmm import kernels
from gmm.points import open_points
from gmm.refining.candidates import Scores, find_candidates, score_components
from gmm.refining.partial_em import change, partial_em, put_back
from gmm.structures import structure

WAYS = pytest.mark.parametrize("devices", [("cpu",), ()], ids=["kernels", "blocks"])
CLOSE = {"max_iter": 500, "tol": 1e-7, "reg_covar": 1e-6}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clusters(middles, n=60, D=2, seed=0):
    """Return clusters of points of variance 1 with their middles on the diagonal."""
    m = torch.tensor(middles, dtype=torch.float64).view(-1, 1, 1)
    noise = torch.randn(len(middles), n, D, dtype=torch.float64, generator=generator(seed))
    return (noise + m).flatten(0, 1)


def begun_at(middles, name, D=2):
    """Return a mixture with its means on the diagonal and covariances of 1."""
    K = len(middles)
    means = torch.tensor(middles, dtype=torch.float64).unsqueeze(-1).expand(K, D)
    variances = torch.ones(K, D, dtype=torch.float64)
    made = structure(name).from_variances(variances)
    return gmm.Mixture(torch.full((K,), 1 / K).double().log(), means.clone(), made, name)


def mean_log_likelihood(x, mixture):
    """Return a point's mean log-likelihood by scipy."""
    used = mixture[()]
    p = {
        "weights": used.weights.numpy(),
        "means": used.means.numpy(),
        "covariances": used.covariances.numpy(),
    }
    joint = scipy_log_joint(x.numpy(), p, used.covariance_type)
    return np.logaddexp.reduce(joint, -1).mean()


@WAYS
@pytest.mark.parametrize("name", STRUCTURES)
def test_a_fit_from_a_bad_start_becomes_as_likely_as_from_a_good_one(name, devices, monkeypatch):
    monkeypatch.setattr(kernels, "DEVICES", devices)
    x = clusters([0, 12, 24])
    # Two means in the first cluster, and one between the two others.
    stuck = gmm.fit_em(x, begun_at([-1, 1, 18], name), **CLOSE).mixture
    good = gmm.fit_em(x, begun_at([0, 12, 24], name), **CLOSE).mixture
    found = gmm.split_merge(x, stuck, generator=generator(), **CLOSE)
    before, best = mean_log_likelihood(x, stuck), mean_log_likelihood(x, good)
    assert best - before > 0.3
    assert mean_log_likelihood(x, found.mixture) == pytest.approx(best, abs=1e-5)
    assert found.log_likelihood.item() == pytest.approx(best, abs=1e-5)
    assert found.log_likelihood_before.item() == pytest.approx(before, abs=1e-9)
    assert found.n_changes == 1


def test_several_bad_places_take_several_changes():
    x = clusters([0, 12, 24, 36, 48, 60])
    stuck = gmm.fit_em(x, begun_at([-1, 1, 18, 35, 37, 54], "full"), **CLOSE).mixture
    found = gmm.split_merge(x, stuck, generator=generator(), **CLOSE)
    good = gmm.fit_em(x, begun_at([0, 12, 24, 36, 48, 60], "full"), **CLOSE).mixture
    assert found.n_changes == 2
    assert found.log_likelihood.item() == pytest.approx(mean_log_likelihood(x, good), abs=1e-5)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_good_fit_is_left_as_it_is(name):
    x = clusters([0, 12, 24])
    good = gmm.fit_em(x, begun_at([0, 12, 24], name), **CLOSE).mixture
    found = gmm.split_merge(x, good, generator=generator(), **CLOSE)
    assert found.n_changes == 0
    assert found.log_likelihood == found.log_likelihood_before
    for new, old in zip(found.mixture.tensors(), good.tensors(), strict=True):
        assert torch.equal(new, old)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("seed", range(3))
def test_it_never_lowers_the_likelihood(name, seed):
    x = torch.from_numpy(blobs(120, 2, K=6, seed=seed))
    given = gmm.fit_many(
        x, [1, 2, 5], covariance_type=name, n_init=1, generator=generator(seed), reg_covar=1e-3
    ).mixture
    found = gmm.split_merge(x, given, max_rounds=3, generator=generator(), reg_covar=1e-3)
    for old, new in zip(range(3), range(3), strict=True):
        before = mean_log_likelihood(x, given[old])
        after = mean_log_likelihood(x, found.mixture[new])
        assert after >= before
        assert (after > before + 1e-3) == bool(found.n_changes[new] > 0)
        assert found.log_likelihood[new].item() == pytest.approx(after, abs=1e-9)
    assert (found.n_changes[:1] == 0).all()  # a single component has nothing to merge with
    assert found.mixture.n_components.tolist() == [1, 2, 5]


@WAYS
@pytest.mark.parametrize("name", ["diag", "spherical", "tied", "full"])
@pytest.mark.parametrize("K", [2, 3])
def test_a_component_without_points_becomes_half_of_another(name, K, devices, monkeypatch):
    monkeypatch.setattr(kernels, "DEVICES", devices)
    middles = [0, 12, 24][:K]
    x = clusters(middles)
    far = [*([0] if K == 3 else []), 6 if K == 2 else 18, 1e4]
    fit = gmm.fit_em(x, begun_at(far, name), **CLOSE)
    assert fit.empty.sum() == 1
    found = gmm.split_merge(x, fit.mixture, generator=generator(), **CLOSE)
    good = gmm.fit_em(x, begun_at(middles, name), **CLOSE).mixture
    assert found.log_likelihood.item() == pytest.approx(mean_log_likelihood(x, good), abs=1e-5)


def test_a_batch_is_refined_as_each_of_it_alone():
    sets = [clusters([0, 12, 24], n, seed=n) for n in (40, 61)]
    starts = [begun_at(m, "full") for m in ([-1, 1, 18], [0, 12, 24])]
    parts = [torch.stack(t) for t in zip(*(s.tensors() for s in starts), strict=True)]
    both = gmm.Mixture(*(t.expand(2, *t.shape) for t in parts), "full")
    fits = gmm.fit_em(sets, both, **CLOSE)
    found = gmm.split_merge(sets, fits.mixture, generator=generator(), **CLOSE)
    assert found.n_changes.tolist() == [[1, 0], [1, 0]]
    for g, m in itertools.product(range(2), range(2)):
        best = mean_log_likelihood(sets[g], fits.mixture[g, 1])
        assert found.log_likelihood[g, m].item() == pytest.approx(best, abs=1e-5)
        assert mean_log_likelihood(sets[g], found.mixture[g, m]) == pytest.approx(best, abs=1e-5)


def test_unused_slots_stay_unused():
    x = clusters([0, 12, 24])
    stuck = gmm.fit_em(x, begun_at([-1, 1, 18], "diag"), **CLOSE).mixture
    found = gmm.split_merge(x, with_unused_slot(stuck), generator=generator(), **CLOSE)
    assert found.n_changes == 1
    assert found.mixture.n_components == 3
    assert found.mixture.log_weights[3] == -torch.inf


def test_float32_mixtures_stay_so():
    x = clusters([0, 12, 24]).float()
    stuck = gmm.fit_em(x, begun_at([-1, 1, 18], "diag").to(torch.float32), reg_covar=1e-6).mixture
    found = gmm.split_merge(x, stuck, reg_covar=1e-6, generator=generator())
    assert found.n_changes == 1
    assert {t.dtype for t in found.mixture.tensors()} == {torch.float32}


def test_points_in_blocks_give_the_scores_of_whole_formulae():
    x = torch.from_numpy(blobs(90, 2))
    mixture = mixture_batch("full", (1, 2))
    points, _ = open_points(x, chunk_size=17)
    old = mixture.relative_to(points.center.double())
    scores = score_components(points, old, generator())
    for m in range(2):
        p = [t[0, m].numpy() for t in (mixture.weights, mixture.means, mixture.covariances)]
        named = dict(zip(("weights", "means", "covariances"), p, strict=True))
        joint = scipy_log_joint(x.numpy(), named, "full")
        evidence = np.logaddexp.reduce(joint, -1)
        resp = np.exp(joint - evidence[:, None])
        np.testing.assert_allclose(scores.merge[0, m], resp.T @ resp, rtol=1e-9)
        share = resp / resp.sum(0)  # the local empirical density
        density = joint - np.log(p[0])
        divergence = (share * (np.log(share) - density)).sum(0)
        np.testing.assert_allclose(scores.split[0, m], divergence, rtol=1e-9)


def test_points_are_drawn_by_their_responsibilities():
    x = torch.tensor([[-1.0], [0.0], [1.5]], dtype=torch.float64)
    mixture = begun_at([-1, 1], "diag", D=1).reshape((1, 1))
    points, _ = open_points(x, chunk_size=2)
    old = mixture.relative_to(points.center.double())
    source, n = generator(), 4000
    drawn = torch.stack([score_components(points, old, source).drawn for _ in range(n)])
    drawn = drawn.flatten(1) + points.center.double().flatten()
    density = norm.pdf(x.numpy(), [[-1, 1]])
    resp = density / density.sum(1, keepdims=True)
    expected = resp / resp.sum(0)  # (3, 2)
    for i in range(3):
        share = torch.isclose(drawn, x[i]).double().mean(0).numpy()
        bound = 5 * np.sqrt(expected[i] * (1 - expected[i]) / n)
        assert (abs(share - expected[i]) < bound + 1e-12).all()


def test_the_best_pairs_and_the_worst_components_come_first():
    merge = torch.tensor([[0, 9, 1, 2], [9, 0, 3, 4], [1, 3, 0, 5], [2, 4, 5, 0.0]])
    split = torch.tensor([4.0, 1, 3, 2])
    scores = Scores(torch.ones(1, 1, 4), merge.view(1, 1, 4, 4), split.view(1, 1, 4), merge)
    weights = torch.full((1, 1, 4), 0.25).log()
    found = find_candidates(scores, weights, 5)
    # ranks of pairs: (0, 1), (2, 3), (1, 3), (1, 2), (0, 3)
    expected = [[0, 2, 1], [0, 3, 1], [2, 0, 3], [2, 1, 3], [1, 0, 3]]
    assert found.is_valid.all()
    assert found.slots[0, 0].tolist() == expected
    few = find_candidates(scores, weights.masked_fill(torch.arange(4) > 2, -torch.inf), 5)
    assert few.slots[0, 0][few.is_valid[0, 0]].tolist() == [[0, 2, 1], [1, 0, 2], [0, 1, 2]]


@pytest.mark.parametrize("name", ["factor", "ppca"])
def test_structures_of_factors_are_refused(name):
    x = clusters([0, 12])
    mixture = gmm.fit_many(x, 2, covariance_type=name, n_factors=1, generator=generator()).mixture
    with pytest.raises(ValueError, match=f"covariance_type must be one of .* got '{name}'"):
        gmm.split_merge(x, mixture)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_candidates": 0}, "n_candidates must be at least 1, got 0"),
        ({"max_rounds": -1}, "max_rounds must be at least 0"),
        ({"tol": -1}, "tol must be at least 0"),
        ({"data": torch.zeros(5, 3)}, "data must have 2 features"),
        ({"data": torch.rand(2, 5, 2)}, "mixture must have a batch shape"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    given = {"data": clusters([0, 9]), "mixture": begun_at([0, 9, 12], "diag"), **options}
    with pytest.raises(ValueError, match=message):
        gmm.split_merge(**given)


@pytest.mark.parametrize("name", ["diag", "spherical", "tied", "full"])
def test_partial_em_changes_three_components_and_raises_the_likelihood(name):
    x = clusters([0, 4, 8, 12])
    mixture = gmm.fit_em(x, begun_at([-1, 1, 6, 12], name), **CLOSE).mixture
    points, _ = open_points(x)
    old = mixture.reshape((1, 1)).relative_to(points.center.double())
    slots = torch.tensor([[[[0, 2, 1], [3, 2, 0]]]])
    three = change(old, slots, score_components(points, old, generator()).drawn)

    def after(n_steps):
        new = put_back(old, slots, partial_em(points, old, slots, three, n_steps, 1e-6, 0.0))
        means = new.means + points.center.double()
        return gmm.Mixture(new.log_weights, means, new.covariances, name)

    values = [after(n) for n in (0, 1, 2, 5)]
    for c, untouched in ((0, 3), (1, 1)):
        steps = [mean_log_likelihood(x, each[0, c]) for each in values]
        assert steps == sorted(steps)
        assert steps[-1] > steps[0] + 0.01
        for each in values:
            now = each[0, c]
            torch.testing.assert_close(now.means[untouched], mixture.means[untouched])
            torch.testing.assert_close(now.log_weights[untouched], mixture.log_weights[untouched])
            if name != "tied":
                torch.testing.assert_close(
                    now.covariances[untouched], mixture.covariances[untouched]
                )
    if name == "tied":
        torch.testing.assert_close(values[-1][0, 0].covariances, mixture.covariances)
    # The two that became one, by hand: the averages that their weights ask for.
    w, merged = mixture.weights[:2], values[0][0, 0]
    torch.testing.assert_close(merged.weights[0], w.sum())
    torch.testing.assert_close(merged.means[0], w @ mixture.means[:2] / w.sum())


def test_only_points_of_the_own_data_set_are_drawn():
    sets = [clusters([50, 60], n, seed=n) for n in (5, 8)]  # in one block, the first with padding
    points, _ = open_points(sets)
    assert [block.valid is None for block in points.blocks()] == [False]
    # The rows of zeros that pad are nearest to the first component.
    parts = begun_at([0, 55], "diag").tensors()
    both = gmm.Mixture(*(t.expand(2, 1, *t.shape) for t in parts))
    old = both.relative_to(points.center.double())
    drawn = score_components(points, old, generator()).drawn + points.center[:, None, None]
    for g, x in enumerate(sets):
        for k in range(2):
            assert (drawn[g, 0, k] - x).abs().amax(-1).min() < 1e-9


def test_the_place_of_a_component_without_points_is_all_that_changes():
    mixture = mixture_batch("full", (1, 1)).relative_to(torch.zeros(1, 2, dtype=torch.float64))
    mixture.log_weights[0, 0] = torch.tensor([0.4, 0.6, 1e-16], dtype=torch.float64).log()
    slots = torch.tensor([[[[2, 1, 2]]]])
    three = change(mixture, slots, torch.zeros(1, 1, 3, 2, dtype=torch.float64))
    assert three.log_weights[0, 0, 0] == -torch.inf  # nothing is merged
    new = put_back(mixture, slots, three)
    expected = torch.tensor([0.4, 0.3, 0.3], dtype=torch.float64)
    torch.testing.assert_close(new.log_weights[0, 0].exp(), expected)
    torch.testing.assert_close(new.means[0, 0, 0], mixture.means[0, 0, 0])
    middle = (new.means[0, 0, 1] + new.means[0, 0, 2]) / 2
    torch.testing.assert_close(middle, mixture.means[0, 0, 1])
    torch.testing.assert_close(new.covariances[0, 0, 2], mixture.covariances[0, 0, 1])
