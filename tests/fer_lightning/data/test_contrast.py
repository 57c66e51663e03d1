"""Equalised grey levels, against a loop over levels and what the definition promises."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from fer_lightning.data.contrast import equalised, prepared


def by_hand(image):
    """Level by level, with counts of darker pixels."""
    flat = image.ravel().tolist()
    n_darkest, n = flat.count(min(flat)), len(flat)
    if n_darkest == n:
        return image
    found = []
    for level in flat:
        darker = sum(other <= level for other in flat) - n_darkest
        found.append(round(255 * darker / (n - n_darkest)))
    return np.array(found, dtype=np.uint8).reshape(image.shape)


@given(st.lists(st.integers(0, 255), min_size=36, max_size=36), st.integers(0, 255))
def test_it_is_the_share_of_pixels_that_are_as_dark(levels, other):
    images = torch.tensor(levels, dtype=torch.uint8).view(1, 1, 6, 6).repeat(2, 1, 1, 1)
    images[1, 0, 0, 0] = other
    for face, image in zip(equalised(images), images, strict=True):
        np.testing.assert_allclose(face.int(), by_hand(image.numpy()).astype(int), atol=1)


@pytest.mark.parametrize("power", [0.4, 1.0, 1.8])
def test_any_change_of_light_that_keeps_the_order_changes_nothing(power):
    rng = np.random.default_rng(0)
    levels = rng.choice(np.arange(0, 256, 16), (3, 1, 48, 48))
    lit = (255 * (levels / 255) ** power * 0.6 + 20).round()
    assert len(np.unique(lit)) == len(np.unique(levels))
    first, second = (torch.from_numpy(x.astype(np.uint8)) for x in (levels, lit))
    assert torch.equal(equalised(first), equalised(second))


def test_a_face_uses_all_levels_and_one_of_one_level_stays():
    images = torch.stack([torch.randint(90, 130, (1, 48, 48)), torch.full((1, 48, 48), 7)]).to(
        torch.uint8
    )
    found = equalised(images)
    assert (found[0].min(), found[0].max()) == (0, 255)
    assert torch.equal(found[1], images[1])
    assert found.dtype == torch.uint8


def test_what_is_equalised_stays_so_within_a_level():
    images = torch.randint(60, 200, (4, 1, 48, 48), dtype=torch.uint8)
    once = equalised(images)
    assert (equalised(once).int() - once.int()).abs().max() <= 1


def test_integers_are_prepared_and_floats_taken_as_they_are():
    images = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(prepared(images, None), images.float() / 255)
    assert torch.equal(prepared(images, "equalise"), equalised(images).float() / 255)
    floats = torch.rand(2, 1, 8, 8)
    assert prepared(floats, "equalise") is floats
