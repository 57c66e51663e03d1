import numpy as np
import pytest
import torch

from gmm.points import Points, open_points


class Batches:
    def __init__(self, *parts):
        self.parts = parts

    def __iter__(self):
        return iter(self.parts)


def rebuilt(points, sizes):
    """Put the blocks together again, in the coordinates of the data."""
    sets = [torch.full((n, points.n_features), torch.nan, dtype=torch.float64) for n in sizes]
    for block in points.blocks():
        for g, at in enumerate(range(block.sets.start, block.sets.stop)):
            rows = block.x[g] if block.valid is None else block.x[g][block.valid[g]]
            sets[at][block.start : block.start + len(rows)] = rows + points.center[at]
    return sets


@pytest.mark.parametrize("chunk_size", [1, 7, 20, 1000])
def test_blocks_hold_every_row_of_every_data_set_once(chunk_size):
    data = [torch.rand(n, 3, dtype=torch.float64) for n in (5, 40, 1, 8, 8)]
    points = Points(data, chunk_size=chunk_size)
    for x, again in zip(data, rebuilt(points, [len(x) for x in data]), strict=True):
        torch.testing.assert_close(again, x)
    for block in points.blocks():
        assert block.x.shape[0] * block.x.shape[1] <= max(chunk_size, 1)


def test_moments_are_those_of_numpy_even_far_from_the_origin():
    data = [torch.rand(n, 3, dtype=torch.float64) + 1e5 for n in (5, 40)]
    points = Points(data, chunk_size=16)
    mean, variance = points.moments
    for g, x in enumerate(data):
        np.testing.assert_allclose(mean[g] + points.center[g], x.numpy().mean(0), rtol=1e-12)
        np.testing.assert_allclose(variance[g], x.numpy().var(0), rtol=1e-9)


def test_take_finds_rows_in_whatever_block_they_are():
    x = torch.rand(30, 2, dtype=torch.float64)
    index = torch.tensor([[29, 0, 13, 13]])
    for points in (Points([x], chunk_size=4), Points(Batches(*x.split(11)), chunk_size=4)):
        torch.testing.assert_close(points.take(index)[0] + points.center, x[index[0]])


def test_batches_are_surveyed_as_the_data_set_they_make_up():
    x = torch.rand(30, 2, dtype=torch.float64)
    points, shape = open_points(Batches(*x.split(7)))
    assert shape == ()
    assert points.sizes.tolist() == [30]
    torch.testing.assert_close(points.center[0], x.mean(0))


@pytest.mark.parametrize(("value", "word"), [(torch.nan, "NaN"), (torch.inf, "infinity")])
@pytest.mark.parametrize("D", [3, 300])
def test_the_first_row_that_is_not_finite_is_named(value, word, D):
    x = torch.rand(30, D)
    x[12, 1] = x[20, 0] = value
    with pytest.raises(ValueError, match=f"{word} in row 12"):
        Points([x])
    with pytest.raises(ValueError, match=f"{word} in row 12"):
        Points(Batches(*x.split(5)))


def test_an_iterator_that_ends_after_one_reading_is_refused():
    with pytest.raises(ValueError, match="readable more than once"):
        open_points(iter([torch.rand(3, 2)]))


def test_data_sets_of_other_widths_are_refused():
    with pytest.raises(ValueError, match="must have 3 features"):
        Points([torch.rand(4, 3), torch.rand(4, 2)])


@pytest.mark.parametrize("chunk_size", [0, -3])
def test_chunk_size_must_be_positive(chunk_size):
    with pytest.raises(ValueError, match="chunk_size must be at least 1"):
        Points([torch.rand(4, 3)], chunk_size=chunk_size)
