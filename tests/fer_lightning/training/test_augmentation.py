"""Changes of faces, against plain loops over pixels and counts of what is drawn."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from fer_lightning.errors import SettingError
from fer_lightning.training.augmenting import face_changes as change
from fer_lightning.training.augmenting.augmentation import (
    ACROSS,
    DOWN,
    FLIP,
    KEPT,
    TURN,
    ZOOM,
    Augment,
)
from fer_lightning.training.augmenting.views import smoothed

SIDE = 12


@pytest.fixture
def images():
    return torch.rand(6, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).double()


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_nothing_changes_where_nothing_is_wanted(images):
    augment = Augment()
    labels = torch.arange(6)
    same, its_labels = augment(images, labels, augment.draw(6, 0, 0))
    assert torch.equal(same, images)
    assert torch.equal(its_labels, labels)


def test_grey_levels_become_shares_of_white():
    augment = Augment()
    greys = torch.full((1, 1, 8, 8), 51, dtype=torch.uint8)
    shares, _ = augment(greys, torch.zeros(1, dtype=torch.int64), augment.draw(1, 0, 0))
    assert shares.dtype == torch.float32
    assert shares.unique().tolist() == pytest.approx([0.2])


def test_a_mirrored_face_is_turned_round_pixel_by_pixel(images):
    which = torch.tensor([True, False, True, False, False, True])
    found = change.mirrored(images, which)
    for face, mirror, image in zip(found, which, images, strict=True):
        assert torch.equal(
            face[0], torch.from_numpy(image[0].numpy()[:, :: -1 if mirror else 1].copy())
        )


@pytest.mark.parametrize(
    ("mirror", "angle", "zoom", "shift"),
    [
        (1.0, 0.0, 1.0, (0.0, 0.0)),
        (1.0, 0.0, 1.0, (0.25, 0.0)),
        (1.0, 30.0, 1.0, (0.0, 0.0)),
        (1.0, -20.0, 0.8, (0.1, -0.05)),
        (-1.0, 15.0, 1.2, (-0.1, 0.2)),
    ],
)
def test_moved_faces_are_those_of_scipy(images, mirror, angle, zoom, shift):
    found = change.moved(
        images[:1], numbers(mirror), numbers(angle), numbers(zoom), numbers(shift).view(1, 2)
    )[0, 0]
    cos, sin = math.cos(math.radians(angle)) * zoom, math.sin(math.radians(angle)) * zoom
    # from (row, column) about the middle, to where it comes from
    matrix = np.array([[cos, sin * mirror], [-sin, cos * mirror]])
    middle = (SIDE - 1) / 2
    moved = np.array([shift[1], shift[0]]) * SIDE
    offset = middle - matrix @ [middle, middle] + moved
    expected = affine_transform(images[0, 0].numpy(), matrix, offset, order=1, mode="nearest")
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_smoothed_faces_are_the_mean_of_those_moved_within_a_pixel(images):
    shifts = [(i + 0.5) / 8 - 0.5 for i in range(8)]  # whose mean distance is a quarter, exactly
    still = {"mirror": torch.ones(6), "angle": torch.zeros(6), "zoom": torch.ones(6)}
    still = {name: values.double() for name, values in still.items()}
    moved = [
        change.moved(images, shift=numbers(across, down).expand(6, 2) / SIDE, **still)
        for across in shifts
        for down in shifts
    ]
    torch.testing.assert_close(smoothed(images), torch.stack(moved).mean(0))


def test_light_is_added_after_contrast_and_ends_at_black_and_white(images):
    found = change.lit(images[:2], numbers(0.2, -0.9), numbers(1.5, 1.0))
    first = np.clip((images[0].numpy() - 0.5) * 1.5 + 0.7, 0, 1)
    np.testing.assert_allclose(found[0].numpy(), first, atol=1e-12)
    assert found[1].max() <= 0.1
    assert found.min() == 0.0


def test_a_rectangle_covers_the_pixels_whose_middles_it_holds(images):
    found = change.rectangles(
        images[:2], numbers(0.0, 1.0), numbers(0.5, 1.0), numbers(0.5, 0.25), numbers(0.25, 1.0)
    )
    expected = np.zeros((2, 1, SIDE, SIDE), bool)
    # 3 of 12 rows, with 9 * 0.5 above: the middles 4.5 + ... are from 4.5 to 7.5
    expected[0, 0, 4:7, :6] = True
    expected[1, 0, :, 9:] = True
    assert np.array_equal(found.numpy(), expected)


def test_faces_and_labels_are_mixed_alike(images):
    targets = torch.eye(7, dtype=torch.float64)[:6]
    kept = torch.linspace(0, 1, 6, dtype=torch.float64)
    faces, mixed = change.mixed(images, targets, kept)
    for i in range(6):
        share = i / 5
        np.testing.assert_allclose(faces[i], share * images[i] + (1 - share) * images[5 - i])
        assert mixed[i, i] == pytest.approx(share)
        assert mixed[i, 5 - i] == pytest.approx(1 - share)
        assert mixed[i].sum() == pytest.approx(1)


def test_a_pasted_part_counts_by_its_area(images):
    where = torch.zeros(6, 1, SIDE, SIDE, dtype=torch.bool)
    where[0, 0, :3, :4] = True  # 12 of 144 pixels
    faces, mixed = change.pasted(images, torch.eye(7, dtype=torch.float64)[:6], where)
    assert torch.equal(faces[0, 0, :3, :4], images[5, 0, :3, :4])
    assert torch.equal(faces[0, 0, 3:], images[0, 0, 3:])
    assert mixed[0].tolist() == pytest.approx([11 / 12, 0, 0, 0, 0, 1 / 12, 0])
    assert torch.equal(faces[1:], images[1:])


def test_the_numbers_depend_on_seed_and_epoch_and_not_on_the_minibatches():
    augment = Augment(mixup=0.4)
    first = augment.draw(50, seed=3, epoch=2)
    assert torch.equal(first, augment.draw(50, seed=3, epoch=2))
    for other in (augment.draw(50, 4, 2), augment.draw(50, 3, 3)):
        assert (first != other).float().mean() > 0.9


def test_mixed_shares_follow_the_beta_distribution():
    kept = Augment(cutmix=0.5).draw(20_000, 0, 0)[:, KEPT].double()
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1))
    assert kept.mean().item() == pytest.approx(0.5, abs=0.01)
    assert kept.var().item() == pytest.approx(1 / 8, abs=0.004)
    assert Augment(flip=0.5).draw(10, 0, 0)[:, KEPT].tolist() == [1.0] * 10


def test_what_is_wanted_is_within_its_limits_and_reaches_them(images, monkeypatch):
    asked = []
    monkeypatch.setattr(change, "moved", lambda images, **given: asked.append(given) or images)
    augment = Augment(flip=0.3, rotation=10, scale=0.2, shift=0.1)
    n = 5000
    faces = images[:1].expand(n, -1, -1, -1)
    augment(faces, torch.zeros(n, dtype=torch.int64), augment.draw(n, 0, 0).double())
    (given,) = asked
    assert (given["mirror"] < 0).double().mean().item() == pytest.approx(0.3, abs=0.02)
    for found, low, high in (
        (given["angle"], -10, 10),
        (given["zoom"], 1 / 1.2, 1.2),
        (given["shift"], -0.1, 0.1),
    ):
        assert low <= found.min().item() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < found.max().item() <= high


def test_erasing_covers_as_many_faces_as_it_should(images):
    augment = Augment(erasing=0.25)
    n = 4000
    faces = torch.full((n, 1, SIDE, SIDE), 2.0)  # no grey level
    changed, _ = augment(faces, torch.zeros(n, dtype=torch.int64), augment.draw(n, 0, 0))
    touched = (changed != 2).flatten(1)
    assert touched.any(1).double().mean().item() == pytest.approx(0.25, abs=0.03)
    share = touched[touched.any(1)].double().mean(1)
    assert share.min() > 0.1**2 * 0.5
    assert share.max() < 0.4**2 * 1.4


def test_a_face_is_changed_by_its_own_numbers(images):
    """Each column of the table that a setting uses changes that face alone."""
    augment = Augment(flip=0.5, rotation=20, scale=0.2, shift=0.2)
    labels = torch.arange(6)
    draws = augment.draw(6, 0, 0)
    before, _ = augment(images, labels, draws)
    for column in (FLIP, TURN, ZOOM, ACROSS, DOWN):
        other = draws.clone()
        other[2, column] = (other[2, column] + 0.5) % 1
        after, _ = augment(images, labels, other)
        assert [not torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [
            i == 2 for i in range(6)
        ]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"flip": 1.5}, "flip"),
        ({"erasing": -0.1}, "erasing"),
        ({"rotation": 180}, "rotation"),
        ({"scale": -1}, "scale"),
        ({"shift": 1}, "shift"),
        ({"brightness": "much"}, "brightness"),
        ({"contrast": float("nan")}, "contrast"),
        ({"mixup": -0.2}, "mixup"),
        ({"mixup": 0.2, "cutmix": 0.2}, "cutmix"),
    ],
)
def test_impossible_settings_are_refused_by_name(given, name):
    with pytest.raises(SettingError, match=rf"^{name} must be .*, got ") as caught:
        Augment(**given)
    assert caught.value.name == name


@pytest.mark.parametrize("more", [["+trainer.precision=64-true"], ["data.contrast=equalise"]])
def test_a_run_takes_changed_faces_in_any_precision(train_here, tmp_path, more):
    small = ["model=resnet", "model.stem=2", "model.widths=[2]", "model.depths=[1]"]
    for name, own in (("plain", []), ("changed", ["augment=strong"])):
        assert 0 <= train_here(name, *small, *own, *more) <= 1
    plain, changed = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("plain", "changed")
    )
    assert not torch.equal(plain["network.classifier.bias"], changed["network.classifier.bias"])
    double = "64-true" in more[0]
    assert changed["network.classifier.bias"].dtype == (torch.float64 if double else torch.float32)
