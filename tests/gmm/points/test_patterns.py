import numpy as np
import pytest
import torch
from holes import blobs_with_holes

from gmm.points import Points, open_points, patterns
from gmm.points.patterns import Patterns


def test_centre_and_moments_are_those_of_the_values_that_are_known():
    data = [blobs_with_holes(n, 3) + 1e5 for n in (60, 25)]
    points = Points([torch.from_numpy(x) for x in data], chunk_size=16, missing=True)
    mean, variance = points.moments
    for g, x in enumerate(data):
        np.testing.assert_allclose(points.center[g], np.nanmean(x, 0), rtol=1e-12)
        np.testing.assert_allclose(mean[g] + points.center[g], np.nanmean(x, 0), rtol=1e-12)
        np.testing.assert_allclose(variance[g], np.nanvar(x, 0), rtol=1e-9)


def test_blocks_have_the_centre_and_a_mask_where_values_are_missing():
    x = torch.from_numpy(blobs_with_holes(30, 4))
    points = Points([x], chunk_size=7, missing=True)
    found = torch.cat([block.x[0] for block in points.blocks()]) + points.center
    mask = torch.cat([block.observed[0] for block in points.blocks()])
    assert torch.equal(mask, (~x.isnan()).double())
    torch.testing.assert_close(found, torch.where(x.isnan(), points.center, x))
    rows = np.concatenate([rows for _, rows, _ in points.arrays()])
    torch.testing.assert_close(torch.from_numpy(rows), found)


def test_weighted_points_count_so_often_where_values_are_missing_too():
    x, weights = torch.from_numpy(blobs_with_holes(30, 3)), torch.arange(1, 31) % 3 + 1
    weighted = Points([x], weights=[weights], missing=True)
    repeated = Points([x.repeat_interleave(weights, 0)], missing=True)
    torch.testing.assert_close(weighted.center, repeated.center)
    for a, b in zip(weighted.moments, repeated.moments, strict=True):
        torch.testing.assert_close(a, b)


def test_the_scatter_has_the_variance_of_what_is_missing_on_its_diagonal():
    x = blobs_with_holes(50, 3)
    points = Points([torch.from_numpy(x)], missing=True)
    filled = np.where(np.isnan(x), 0, x - np.nanmean(x, 0))
    expected = filled.T @ filled + np.diag(np.isnan(x).sum(0) * np.nanvar(x, 0))
    np.testing.assert_allclose(points.scatter_about_mean[0], expected, rtol=1e-10)


def test_points_of_float32_are_worked_on_in_float64_where_values_are_missing():
    x = torch.zeros(9, 300)
    assert Points([x], missing=True).work_dtype == torch.float32
    x[3, 5] = torch.nan
    assert Points([x], missing=True).work_dtype == torch.float64


def test_infinity_stays_an_error_and_names_its_row():
    x = torch.rand(10, 2)
    x[2, 0], x[7, 1] = torch.nan, torch.inf
    with pytest.raises(ValueError, match="got infinity in row 7"):
        Points([x], missing=True)
    with pytest.raises(ValueError, match="got NaN in row 2"):
        Points([x])


def test_a_feature_without_any_value_is_named():
    x = torch.rand(2, 10, 3)
    x[1, :, 2] = torch.nan
    with pytest.raises(ValueError, match="NaN alone in feature 2 of data set 1; leave"):
        open_points(x, missing=True)
    with pytest.raises(ValueError, match="NaN alone in feature 2; leave"):
        open_points(x[1], missing=True)


@pytest.mark.parametrize("D", [1, 5, 31, 32, 70])
@pytest.mark.parametrize("n_bytes", [1, 1 << 14, 1 << 26])
def test_groups_have_every_valid_row_once_and_rows_of_a_pattern_agree(D, n_bytes, monkeypatch):
    monkeypatch.setattr(patterns, "bytes_of_block", lambda _: n_bytes)
    generator = torch.Generator().manual_seed(D)
    base = torch.rand(6, D, generator=generator) < 0.6
    base[1] = base[0]
    base[1, -1] = ~base[0, -1]  # that differ in the last feature alone
    observed = base[torch.randint(6, (3, 40), generator=generator)].double()
    valid = torch.arange(40) < torch.tensor([[40], [13], [1]])
    found = Patterns.of(observed, valid)
    flat, seen, n_patterns = observed.flatten(0, 1), [], 0
    for group in found.groups(10, 3):
        seen += group.rows[group.valid].tolist()
        n_patterns += len(group.rows)
        n = group.valid.sum(1)
        assert n.min() * 2 > n.max()
        for rows, is_valid in zip(group.rows, group.valid, strict=True):
            assert (flat[rows[is_valid]] == flat[rows[0]]).all()
            assert (rows[is_valid] // 40 == rows[0] // 40).all()
    assert sorted(seen) == valid.flatten().nonzero().squeeze(-1).tolist()
    kinds = {(row // 40, *flat[row].tolist()) for row in seen}
    assert n_patterns == len(kinds)
