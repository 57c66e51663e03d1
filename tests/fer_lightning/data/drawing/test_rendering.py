import numpy as np
import pytest
import torch
from scipy.ndimage import rotate
from torch import Tensor

from fer_lightning.data.drawing import rendering
from fer_lightning.data.drawing.action_units import COLUMN, UNITS
from fer_lightning.data.drawing.landmarks import Identity, Photo
from fer_lightning.data.drawing.rendering import render
from fer_lightning.data.sources.synthetic import IDENTITY, PHOTO, sample_people

SCALE = 18.5  # pixels per face unit, with the face's origin in the middle of the picture
EYES, BROWS, MOUTH = (-0.28, -0.02), (-0.75, -0.34), (0.5, 1.1)  # y from and to, face units


def portrait(halves: Tensor, **changes: float) -> Tensor:
    """Render an average person in front of the camera, (N, 48, 48), for units (N, U, 2)."""
    plain = {"shift_y": 0.0, "scale": SCALE, "light_y": 0.0, "blur": 0.0, "hairline": -1.5}
    who = {name: mean for name, (mean, _) in IDENTITY.items()} | {"beard": 0.0, "glasses": 0.0}
    how = {name: mean for name, (mean, _) in PHOTO.items()}
    how |= dict.fromkeys(("sunglasses", "scarf", "bar", "hand"), 0.0)
    who |= {name: value for name, value in (plain | changes).items() if name in who}
    how |= {name: value for name, value in (plain | changes).items() if name in how}
    n = len(halves)
    return render(
        halves,
        Identity(**{name: torch.full((n,), value) for name, value in who.items()}),
        Photo(**{name: torch.full((n,), value) for name, value in how.items()}),
    )[:, 0]


def units(**strengths: float) -> Tensor:
    """Set units named like AU12 on both halves of one face."""
    halves = torch.zeros(1, len(UNITS), 2)
    for name, strength in strengths.items():
        halves[0, COLUMN[int(name.removeprefix("AU"))]] = strength
    return halves


def pixels(start: float, stop: float) -> slice:
    """Turn an interval of face units into rows or columns."""
    return slice(round(23.5 + SCALE * start), round(23.5 + SCALE * stop) + 1)


def darkest_row(picture: Tensor, column: float, y: tuple[float, float]) -> float:
    """Return the mean row of the darkest pixels near two mirrored columns, within y."""
    rows = pixels(*y)
    columns = [round(23.5 + SCALE * side * column) for side in (-1, 1)]
    return picture[rows, columns].argmin(0).double().mean().item() + rows.start


def face(**strengths: float) -> Tensor:
    return portrait(units(**strengths))[0]


def test_grey_levels_lie_between_black_and_white():
    picture = portrait(torch.rand(20, len(UNITS), 2, generator=torch.Generator().manual_seed(0)))
    assert picture.shape == (20, 48, 48)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert (picture.std((1, 2)) > 0.1).all()


def test_pulling_the_lip_corners_raises_them_and_depressing_lowers_them():
    rest = darkest_row(face(), 0.28, MOUTH)
    assert darkest_row(face(AU12=1.0), 0.28, MOUTH) <= rest - 1
    assert darkest_row(face(AU15=1.0), 0.28, MOUTH) >= rest + 1


def test_the_dark_of_the_mouth_grows_as_the_jaw_drops():
    dark = [
        (face(AU25=0.5, AU26=drop)[pixels(*MOUTH), pixels(-0.4, 0.4)] < 0.1).sum().item()
        for drop in (0.0, 0.5, 1.0)
    ]
    assert dark[0] < dark[1] < dark[2]
    assert dark[2] > 20


def test_lowering_the_brows_moves_their_rows_down():
    for column in (0.25, 0.35, 0.45):
        assert darkest_row(face(AU4=1.0), column, BROWS) > darkest_row(face(), column, BROWS)


def test_inner_and_outer_brows_rise_separately():
    inner, outer = 0.25, 0.65
    rest, raised_inside, raised_outside = face(), face(AU1=1.0), face(AU2=1.0)
    assert darkest_row(raised_inside, inner, BROWS) <= darkest_row(rest, inner, BROWS) - 2
    assert darkest_row(raised_inside, outer, BROWS) >= darkest_row(rest, outer, BROWS) - 1
    assert darkest_row(raised_outside, inner, BROWS) >= darkest_row(rest, inner, BROWS) - 1
    assert darkest_row(raised_outside, outer, BROWS) <= darkest_row(rest, outer, BROWS) - 2


def test_raising_the_upper_lid_widens_the_bright_of_the_eye_and_tightening_narrows_it():
    def bright(**strengths: float) -> int:
        eyes = portrait(units(**strengths), skin_tone=0.4)[0, pixels(-0.4, 0.05)]
        return int((eyes > 0.6).sum())

    assert bright(AU5=1.0) > bright() + 4
    assert bright(AU7=1.0) < bright()
    assert bright(AU43=1.0) < bright()


def test_wrinkling_the_nose_darkens_its_bridge():
    bridge = pixels(-0.22, 0.05), pixels(-0.12, 0.12)
    assert face(AU9=1.0)[bridge].mean() < face()[bridge].mean() - 0.03


def test_stretching_the_lips_widens_the_mouth_and_tightening_thins_them():
    def lips(**strengths: float) -> Tensor:
        dark_lips = portrait(units(**strengths), lip_tone=0.3)[0]
        return dark_lips[pixels(0.6, 0.95)] < 0.25

    assert lips(AU20=1.0).any(0).sum() > lips().any(0).sum()
    middle = pixels(-0.1, 0.1)
    assert lips(AU23=1.0)[:, middle].sum() < lips()[:, middle].sum()
    assert lips(AU24=1.0)[:, middle].sum() < lips()[:, middle].sum()


def test_every_unit_changes_the_face():
    alone = torch.eye(len(UNITS))[..., None].expand(-1, -1, 2)
    change = (portrait(alone) - face()).abs().amax((1, 2))
    assert (change > 0.05).all(), [n for n, c in zip(UNITS, change, strict=True) if c <= 0.05]


@pytest.mark.parametrize(("half", "moving"), [(0, slice(0, 18)), (1, slice(30, 48))])
def test_a_unit_on_one_half_moves_only_that_half(half, moving):
    one_sided = torch.zeros(1, len(UNITS), 2)
    one_sided[0, COLUMN[2], half] = 1
    change = (portrait(one_sided)[0] - face()).abs()
    assert change[:, moving].max() > 0.2
    still = slice(30, 48) if half == 0 else slice(0, 18)
    assert change[:, still].max() == 0


def test_faces_drawn_together_equal_faces_drawn_one_by_one():
    halves = torch.rand(18, len(UNITS), 2, generator=torch.Generator().manual_seed(1))
    alone = torch.cat([portrait(one[None], roll=0.1, yaw=0.2) for one in halves])
    torch.testing.assert_close(portrait(halves, roll=0.1, yaw=0.2), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_cores", [1, 5])
@pytest.mark.parametrize("n_together", [1, 7, 64])
def test_pixels_do_not_depend_on_cores_and_on_who_is_drawn_together(
    monkeypatch, n_cores, n_together
):
    halves = torch.rand(40, len(UNITS), 2, generator=torch.Generator().manual_seed(2))
    expected = torch.cat([portrait(one, roll=0.1, yaw=0.2) for one in halves.split(20)])
    monkeypatch.setattr(rendering, "n_cores", lambda: n_cores)
    monkeypatch.setattr(rendering, "CHUNK", n_together * 48 * 48)
    assert torch.equal(portrait(halves, roll=0.1, yaw=0.2), expected)


def test_more_pixels_are_drawn_in_smaller_parts(monkeypatch):
    sizes = []
    draw = rendering._draw

    def noted(units, who, photo, side):
        sizes.append(len(units) * side * side)
        return draw(units, who, photo, side)

    monkeypatch.setattr(rendering, "_draw", noted)
    people = sample_people(70, np.random.default_rng(0))
    for side in (20, 48, 200):
        pictures = render(torch.rand(70, len(UNITS), 2), *people, side)
        assert pictures.shape == (70, 1, side, side)
    assert max(sizes) <= 64 * 48 * 48


def test_shifting_moves_the_picture_by_whole_pixels():
    still, moved = (portrait(units(), shift_x=dx, shift_y=dy)[0] for dx, dy in ((0, 0), (3, -2)))
    # The outermost pixels are lit by a one-sided difference.
    torch.testing.assert_close(moved[1:-4, 5:-2], still[3:-2, 2:-5], rtol=0, atol=1e-5)


def test_rolling_rotates_the_picture():
    # The lamp stays where it is, so it is put at the camera.
    upright, rolled = (portrait(units(AU12=1.0), roll=roll)[0] for roll in (0.0, 0.2))
    expected = torch.from_numpy(rotate(upright.numpy(), -11.459, reshape=False, order=1))
    middle = slice(10, 38), slice(10, 38)
    error = (rolled - expected)[middle].abs().mean()
    assert error < 0.03
    assert error < 0.4 * (upright - rolled)[middle].abs().mean()


def test_turning_the_head_brings_the_nose_nearer_to_one_side():
    nostrils = pixels(0.4, 0.5)
    columns = torch.arange(48) - 23.5
    centre = []
    for yaw in (-0.3, 0.0, 0.3):
        dark = 1 - portrait(units(), yaw=yaw)[0, nostrils, 14:34]
        dark = (dark - dark.mean()).clamp_min(0).sum(0)
        centre.append(((dark * columns[14:34]).sum() / dark.sum()).item())
    assert centre[0] < centre[1] - 2
    assert centre[2] > centre[1] + 2


def test_the_cheek_towards_the_lamp_is_brighter():
    cheeks = portrait(units(), light_x=0.8)[0, pixels(0.1, 0.35)]
    right, left = cheeks[:, pixels(0.4, 0.7)].mean(), cheeks[:, pixels(-0.7, -0.4)].mean()
    assert right > left + 0.1


def test_sunglasses_hide_the_eyes():
    rest, wide = (
        portrait(units(AU5=strength), sunglasses=1.0)[0, pixels(*EYES), pixels(0.3, 0.55)]
        for strength in (0.0, 1.0)
    )
    assert torch.equal(rest, wide)
    assert rest.max() < 0.2


def test_drawing_leaves_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        face()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_longer_list_of_faces_keeps_their_order():
    halves = torch.cat([units(AU26=1.0, AU25=1.0), units().expand(39, -1, -1)])
    pictures = portrait(halves)
    assert (pictures[1:] == pictures[1]).all()
    assert not torch.equal(pictures[0], pictures[1])


def test_glasses_and_beard_darken_where_they_are_worn():
    plain = face()
    rims = mean_change(plain, portrait(units(), glasses=1.0)[0], pixels(-0.45, 0.15))
    jaw = mean_change(plain, portrait(units(), beard=1.0)[0], pixels(0.85, 1.15))
    assert rims < -0.02
    assert jaw < -0.05


def mean_change(before: Tensor, after: Tensor, rows: slice) -> float:
    return (after - before)[rows, 8:40].mean().item()
