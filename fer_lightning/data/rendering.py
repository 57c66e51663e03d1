"""Grey portraits drawn from action units: a relief of bumps and folds, lit, painted, photographed.

A face has its own frame: `x` runs across the picture to the right and `y` down, both in units of
half an average face's width, with the origin between eyes and nose; `side` is |x|, so that both
halves are drawn at once. Tones are reflectances, 0 black and 1 white. Inside this module every
parameter of a face has shape (n, 1, 1) and every picture (n, 48, 48).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor

from fer_lightning.data.action_units import COLUMN
from fer_lightning.data.faces import SIZE

CHUNK = 16  # faces drawn together: their pictures stay in the processor's cache
EYE_Y = -0.16
SOFT = 0.065  # width of an antialiased edge in face units, a little more than a pixel


@dataclass(frozen=True)
class Identity:
    """Who is shown, one number per face, (N,); lengths in face units."""

    face_width: Tensor  # half of it
    jaw_width: Tensor  # at the chin, relative to the face's
    chin: Tensor  # its distance below the origin, 1 is average
    brow_height: Tensor  # above the eye
    brow_thickness: Tensor  # half of it
    brow_tone: Tensor
    eye_distance: Tensor  # from the midline
    eye_width: Tensor  # half of it
    eye_opening: Tensor  # from the eye's middle to the upper lid
    eye_tilt: Tensor  # slope, positive where the outer corner is higher
    iris_tone: Tensor
    nose_length: Tensor  # where its base lies, below the origin
    nose_width: Tensor  # half of it
    mouth_height: Tensor  # below the origin
    mouth_width: Tensor  # half of it
    lip_thickness: Tensor  # 1 is average
    lip_tone: Tensor  # relative to the skin
    skin_tone: Tensor
    age: Tensor  # depth of lines at rest, 0 to 1
    hair_tone: Tensor
    hair_volume: Tensor  # beyond the head
    hair_length: Tensor  # where it ends, below the origin
    hairline: Tensor  # height over the forehead, negative is up
    parting: Tensor  # its x
    beard: Tensor  # density, 0 to 1
    glasses: Tensor  # 0 or 1


@dataclass(frozen=True)
class Photo:
    """How the face is shown, one number per face, (N,)."""

    roll: Tensor  # radians, in the plane of the picture
    yaw: Tensor  # radians, about the vertical axis
    pitch: Tensor  # radians, about the horizontal axis
    scale: Tensor  # pixels per face unit
    shift_x: Tensor  # pixels
    shift_y: Tensor  # pixels
    gaze_x: Tensor  # shift of the irises in face units
    gaze_y: Tensor
    light_x: Tensor  # direction towards the lamp, relative to the camera's
    light_y: Tensor
    ambient: Tensor  # part of the light that comes from everywhere
    background: Tensor  # tone
    background_slope: Tensor  # change of tone from the left edge to the right
    gain: Tensor  # exposure
    contrast: Tensor
    blur: Tensor  # weight of each neighbour in a 3 x 3 filter
    sunglasses: Tensor  # 0 or 1, as the other covers
    scarf: Tensor
    bar: Tensor
    hand: Tensor
    cover_x: Tensor  # place of a bar or hand in face units
    cover_tone: Tensor


@dataclass(frozen=True)
class Frame:
    """Where each pixel lies, and how strongly the action units act."""

    head_x: Tensor  # on the head as the camera sees it
    head_y: Tensor
    x: Tensor  # on the face after yaw and pitch are undone
    y: Tensor
    nose_x: Tensor  # the same for the nose, which stands out and so moves further
    nose_y: Tensor
    rim: Tensor  # 0 in the middle of the head, 1 at its outline
    depth: Tensor  # towards the camera, of the head without features
    chin: Tensor  # y of the chin
    right: Tensor  # 0 on the left half of the face, 1 on the right
    halves: dict[int, Tensor]  # strength of a unit on each half, (n, 2)
    unit: dict[int, Tensor]  # its mean, (n, 1, 1)

    @property
    def side(self) -> Tensor:
        return self.x.abs()

    def sided(self, value: Tensor) -> Tensor:
        """Spread a value per half, (n, 2), over the picture."""
        left, right = value[:, :, None, None].unbind(1)
        return torch.lerp(left, right, self.right)


@dataclass(frozen=True)
class Brows:
    along: Tensor  # 0 at the inner end, 1 at the outer
    below: Tensor  # distance below the middle of the brow


@dataclass(frozen=True)
class Lids:
    across: Tensor  # -1 at the inner corner of the eye, 1 at the outer
    below_upper: Tensor  # distance below the upper lid's edge
    above_lower: Tensor  # distance above the lower lid's edge
    near: Tensor  # 1 between the corners, 0 away from the eye


@dataclass(frozen=True)
class Mouth:
    across: Tensor  # -1 and 1 at the corners
    half: Tensor  # half of its width
    level: Tensor  # y of the middle of the closed lips
    corner: Tensor  # how much lower the corners lie
    upper_edge: Tensor  # y of the upper lip's outline, of its free edge, and so on downwards
    upper_free: Tensor
    lower_free: Tensor
    lower_edge: Tensor
    within: Tensor  # 1 between the corners, 0 beyond
    open: Tensor  # 0 for closed lips to 1 for parted ones


def render(units: Tensor, identity: Identity, photo: Photo) -> Tensor:
    """Draw faces.

    Args:
        units: Strength of each action unit on the left and the right half, (N, U, 2), in [0, 1].
        identity: Who is shown.
        photo: How they are shown.

    Returns:
        Grey levels in [0, 1], (N, 1, 48, 48).
    """
    parts = [slice(start, start + CHUNK) for start in range(0, len(units), CHUNK)]
    with _one_thread():
        return torch.cat([_draw(units[p], _rows(identity, p), _rows(photo, p)) for p in parts])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep PyTorch from splitting operations of microseconds between threads.

    On busy cores the threads would wait for each other a thousand times per chunk of faces.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


T = TypeVar("T", Identity, Photo)


def _rows(parameters: T, part: slice) -> T:
    columns = (getattr(parameters, field.name) for field in fields(parameters))
    return type(parameters)(*(column[part, None, None] for column in columns))


def _draw(units: Tensor, who: Identity, photo: Photo) -> Tensor:
    f = _frame(units, who, photo)
    brows, lids, mouth = _brows(f, who), _lids(f, who), _mouth(f, who)
    fold, fold_depth = _nasolabial_fold(f, who, mouth)
    relief = _relief(f, who, brows, mouth) + fold_depth * (
        0.06 * _step(fold, 0.14) * _line(fold, 0.3) - 0.02 * _line(fold, 0.05)
    )
    shade = _shade(relief, photo)
    dark = _upper_creases(f, who, lids) + _lower_creases(f, who, mouth)
    dark = dark + 0.4 * fold_depth * _line(fold, 0.05)

    face = who.skin_tone * (1 - 0.6 * _beard(f, who)) * torch.exp(-dark)
    face = _paint_mouth(face, shade, f, who, mouth)
    face = _paint_eyes(face, shade, f, who, photo, lids)
    face = _paint_brows(face, shade, who, brows)
    scene = _paint_head(face, shade, f, who, photo)
    scene = _paint_glasses(scene, f, who, photo)
    return _photograph(_paint_covers(scene, f, who, photo), photo)


def _near(square: Tensor) -> Tensor:
    """Return nearly exp(-square), by a polynomial that reaches 0 at 4 and is much faster."""
    return (1 - 0.25 * square).clamp_min_(0).square_().square_()


def _bump(a: Tensor, b: Tensor) -> Tensor:
    return _near(torch.addcmul(a * a, b, b))


def _line(distance: Tensor, width: float) -> Tensor:
    return _near((distance * (1 / width)).square_())


def _step(distance: Tensor, width: float) -> Tensor:
    """Rise from 0 to 1 over `width` around distance 0."""
    return (distance * (1 / width) + 0.5).clamp_(0, 1)


def _paint(canvas: Tensor, tone: Tensor | float, cover: Tensor) -> Tensor:
    return canvas + cover * (tone - canvas)


def _frame(units: Tensor, who: Identity, photo: Photo) -> Frame:
    halves = {number: units[:, column] for number, column in COLUMN.items()}
    unit = {number: half.mean(-1)[:, None, None] for number, half in halves.items()}

    axis = torch.arange(SIZE) - (SIZE - 1) / 2
    column, row = axis - photo.shift_x, axis[:, None] - photo.shift_y
    cos, sin = photo.roll.cos() / photo.scale, photo.roll.sin() / photo.scale
    head_x, head_y = column * cos + row * sin, row * cos - column * sin

    # An egg: half an ellipse above, a jaw that narrows towards the chin below.
    chin = 1.22 * who.chin + 0.13 * unit[26] + 0.16 * unit[27]
    below, above = head_y.clamp_min(0) / chin, head_y.clamp_max(0) / 1.45
    width = who.face_width * (1 - (1 - who.jaw_width) * below)
    rim = ((head_x / width) ** 2 + below**3 + above**2).sqrt()

    # Turning an ellipsoid moves what lies nearer to the camera further.
    depth = 0.85 * (1 - rim**2).clamp_min(0).sqrt()
    x = head_x * photo.yaw.cos() - depth * photo.yaw.sin()
    turned = head_x * photo.yaw.sin() + depth * photo.yaw.cos()
    y = head_y * photo.pitch.cos() - turned * photo.pitch.sin()
    return Frame(
        head_x=head_x,
        head_y=head_y,
        x=x,
        y=y,
        nose_x=x - 0.22 * photo.yaw.sin(),
        nose_y=y - 0.16 * photo.pitch.sin(),
        rim=rim,
        depth=depth,
        chin=chin,
        right=_step(x, 0.4),
        halves=halves,
        unit=unit,
    )


def _brows(f: Frame, who: Identity) -> Brows:
    au = f.halves
    along = (f.side - 0.17 + 0.05 * f.unit[4]) / 0.58
    inner = f.sided(-0.14 * au[1] - 0.01 * au[2] + 0.10 * au[4] + 0.03 * au[9])
    outer = f.sided(0.02 + 0.03 * au[1] - 0.15 * au[2] + 0.04 * au[4] + 0.02 * au[6])
    arch = f.sided(0.18 + 0.08 * au[2] - 0.12 * au[4])
    middle = EYE_Y - who.brow_height + inner + along * (outer - inner - arch * (1 - along))
    return Brows(along=along, below=f.y - middle)


def _lids(f: Frame, who: Identity) -> Lids:
    au = f.halves
    across = (f.side - who.eye_distance) / who.eye_width
    arch = who.eye_opening * (1 - across * across).clamp_min(0)
    y = f.y - EYE_Y + who.eye_tilt * (f.side - who.eye_distance)
    upper = 1 + 0.65 * au[5] - 0.3 * au[7] - 0.2 * au[9] - 0.12 * au[12] - 0.65 * au[43]
    lower = 0.55 + 0.1 * au[5] - 0.45 * au[6] - 0.35 * au[7] - 0.25 * au[9]
    return Lids(
        across=across,
        below_upper=y + f.sided(upper) * arch,
        above_lower=f.sided(lower) * arch - y,
        near=_step(1.05 - across.abs(), 0.25),
    )


def _mouth(f: Frame, who: Identity) -> Mouth:
    au, unit = f.halves, f.unit
    stretch = 1 + 0.24 * unit[12] - 0.06 * unit[17] + 0.26 * unit[20] - 0.14 * unit[23]
    half = who.mouth_width * (stretch - 0.05 * unit[26] - 0.12 * unit[27])
    across = f.x / half
    square = (across * across).clamp_max(1.5)
    arch = (1 - square).clamp_min(0)
    slit = arch.sqrt()
    corner = f.sided(0.03 * au[10] - 0.15 * au[12] + 0.13 * au[15] + 0.05 * au[17] + 0.03 * au[20])
    corner = corner - 0.03
    level = who.mouth_height - 0.03 * (unit[9] + unit[10]) - 0.02 * unit[12] - 0.05 * unit[17]
    seam = level + corner * square

    opened = (1.5 * unit[25] + 3 * unit[26] + 3 * unit[27]).clamp(0, 1)
    lift = f.sided(0.02 * au[9] + 0.05 * au[10] + 0.02 * au[25] * (1 + au[12]))
    gape = unit[25] * (0.04 + 0.03 * unit[10] + 0.09 * unit[12] + 0.03 * unit[20])
    gape = gape + 0.24 * (unit[26] + unit[27])
    upper_free, lower_free = seam - lift * opened * slit, seam + gape * slit
    thin = 1 - 0.2 * unit[12] - 0.1 * unit[20] - 0.45 * unit[23] - 0.45 * unit[24]
    lip = who.lip_thickness * thin * arch * (2 - arch)
    cupids_bow = 1 - 0.25 * _line(across, 0.16)
    return Mouth(
        across=across,
        half=half,
        level=level,
        corner=corner,
        upper_edge=upper_free - lift * (1 - opened) * arch - 0.085 * lip * cupids_bow,
        upper_free=upper_free,
        lower_free=lower_free,
        lower_edge=lower_free + 0.115 * lip * (1 + 0.2 * unit[17]),
        within=_step(1 - across.abs(), 0.12),
        open=(4 * unit[25] + 6 * unit[26] + 6 * unit[27]).clamp(0, 1),
    )


def _nose_length(f: Frame, who: Identity) -> Tensor:
    return who.nose_length - 0.05 * f.unit[9] - 0.02 * f.unit[10]


def _nose_width(f: Frame, who: Identity) -> Tensor:
    return who.nose_width * (1 + 0.15 * f.unit[9] + 0.1 * f.unit[12])


def _nasolabial_fold(f: Frame, who: Identity, mouth: Mouth) -> tuple[Tensor, Tensor]:
    """Return the distance outwards from the fold between nose and mouth corner, and its depth."""
    au = f.halves
    fall = f.y - _nose_length(f, who)
    slope = f.sided(0.42 + 0.30 * au[12] + 0.1 * au[20])
    distance = f.side - _nose_width(f, who) - 0.06 - slope * (fall + 0.06).clamp_min(0)
    depth = 0.75 * au[9] + 0.65 * au[10] + 0.65 * au[12] + 0.25 * au[15] + 0.2 * au[20]
    depth = (0.25 * who.age + f.sided(depth)).clamp_max(1.3)
    return distance, depth * _step(fall + 0.1, 0.12) * _step(mouth.level + 0.08 - f.y, 0.25)


def _relief(f: Frame, who: Identity, brows: Brows, mouth: Mouth) -> Tensor:
    """Return the height of the face towards the camera, in face units."""
    au, x, y, side = f.halves, f.x, f.y, f.side
    tip, wing = _nose_length(f, who), _nose_width(f, who)
    along = ((f.nose_y + 0.35) / (tip + 0.35)).clamp(0, 1)
    nose = (0.06 + 0.17 * along * along) * _line(f.nose_x / (0.11 + 0.07 * along), 1.0)
    nose = nose * _step(tip + 0.06 - f.nose_y, 0.22) * _step(f.nose_y + 0.4, 0.3)
    wings = _bump((f.nose_x.abs() - wing) / 0.075, (f.nose_y - tip + 0.02) / 0.08)
    raised = f.sided(0.6 * au[6] + 0.5 * au[12])
    cheek = (0.09 + 0.08 * raised) * _bump((side - 0.53) / 0.25, (y - 0.30 + 0.10 * raised) / 0.24)
    socket = _bump((side - 0.36) / 0.24, (y - EYE_Y + 0.03) / 0.15)
    eyeball = _bump((side - who.eye_distance) / 0.17, (y - EYE_Y) / 0.12)
    ridge = (0.05 + 0.03 * f.sided(au[4])) * _bump((side - 0.36) / 0.34, brows.below / 0.10)
    muzzle = _bump(x / 0.36, (y - mouth.level) / 0.26)
    upper_lip = _line(y - (mouth.upper_edge + mouth.upper_free) / 2, 0.06)
    lower_lip = _line(y - (mouth.lower_edge + mouth.lower_free) / 2, 0.07)
    lips = mouth.within * (0.045 * upper_lip + 0.055 * lower_lip)
    chin = (0.07 + 0.05 * f.unit[17]) * _bump(x / 0.24, (y - _boss(f)) / 0.16)
    bones = nose + 0.10 * wings + cheek - 0.12 * socket + 0.07 * eyeball + ridge
    return f.depth + bones + 0.08 * muzzle + lips + chin


def _boss(f: Frame) -> Tensor:
    """Return the y of the middle of the chin's bulge."""
    return 0.9 * f.chin - 0.04 * f.unit[17]


def _shade(relief: Tensor, photo: Photo) -> Tensor:
    """Return the light that each place reflects, 1 where the surface faces the camera.

    Lambert's law: the cosine between the lamp's direction and the normal (-dz/dx, -dz/dy, 1).
    """
    slope_y, slope_x = torch.gradient(relief * photo.scale, dim=(-2, -1))
    norm = (1 + slope_x * slope_x + slope_y * slope_y).rsqrt()
    cosine = (1 - slope_x * photo.light_x - slope_y * photo.light_y) * norm
    return photo.ambient + (1 - photo.ambient) * cosine.clamp(0, 1.2)


def _upper_creases(f: Frame, who: Identity, lids: Lids) -> Tensor:
    """Return how dark the lines of brows, lids and the bridge of the nose are, as -log tone."""
    au, x, y, side = f.halves, f.x, f.y, f.side
    frown = f.sided(au[4]) * _line(side - 0.083 - 0.02 * y, 0.035) * _line(y + 0.36, 0.14)
    bowed = y + 0.10 * side * side
    wrinkles = _line(bowed + 0.61, 0.035) + _line(bowed + 0.75, 0.035) + _line(bowed + 0.88, 0.03)
    wrinkles = wrinkles * f.sided((au[1] + au[2]).clamp_max(1.5))
    wrinkles = wrinkles * _line(side * f.sided(1.4 - 0.7 * au[2]), 0.7)
    slant = y - 0.4 * side
    bridge = _line(slant + 0.22, 0.03) + _line(slant + 0.10, 0.03) + _line(slant - 0.02, 0.03)
    bridge = f.unit[9] * _line(x, 0.2) * bridge
    fan, outer = y - EYE_Y, side - 0.7
    crow = _line(fan + 0.10 + 0.5 * outer, 0.025) + _line(fan, 0.025)
    crow = crow + _line(fan - 0.10 - 0.4 * outer, 0.025)
    crow = f.sided(au[6]) * _step(outer, 0.08) * _line(outer - 0.08, 0.12) * crow
    bag = 0.2 * who.age + f.sided(0.9 * au[6] + 0.5 * au[7] + 0.4 * au[9])
    bag = bag * lids.near * _line(lids.above_lower + 0.075, 0.03)
    lid = lids.near * _line(lids.below_upper + 0.085 - 0.04 * f.sided(au[5]), 0.03)
    socket = 0.28 * _bump((side - 0.27) / 0.13, (y - EYE_Y + 0.05) / 0.15)
    socket = socket + 0.15 * _bump((side - 0.42) / 0.3, (y - EYE_Y + 0.02) / 0.16)
    lines = 0.8 * frown + (0.2 + 0.2 * who.age) * wrinkles + 0.55 * bridge + 0.45 * (crow + bag)
    return lines + 0.3 * lid + socket


def _lower_creases(f: Frame, who: Identity, mouth: Mouth) -> Tensor:
    """Return how dark the lines of nose, mouth and chin are, as -log tone."""
    au, unit, x = f.halves, f.unit, f.x
    nose_side, under_nose = f.nose_x.abs(), f.nose_y - _nose_length(f, who)
    wing = _nose_width(f, who)
    nostril = _bump((nose_side - 0.55 * wing) / 0.05, (under_nose - 0.035) / 0.032)
    groove = _line(nose_side - wing - 0.085, 0.03) * _line(under_nose + 0.02, 0.09)
    shadow = _bump(f.nose_x / 0.20, (under_nose - 0.10) / 0.06)

    beyond, fall = f.side - mouth.half, f.y - mouth.level
    dimple = f.sided(0.8 * au[12] + 0.5 * au[15] + 0.3 * au[20] + 0.2 * au[24])
    dimple = dimple * _bump((beyond - 0.03) / 0.05, (fall - mouth.corner) / 0.07)
    droop = _line(beyond - 0.05 - 0.2 * fall, 0.035) * _line(fall - mouth.corner - 0.12, 0.10)
    press = unit[24] * _bump(beyond / 0.06, fall / 0.10)
    under_lip = _bump(x / 0.22, (f.y - mouth.lower_edge - 0.06) / 0.045)
    boss = f.y - _boss(f) + 1.2 * x * x
    pebbles = _line(x, 0.16) * (_line(boss + 0.08, 0.03) + 0.6 * _line(boss - 0.03, 0.03))
    lines = 0.6 * (dimple + f.sided(au[15]) * droop) + 0.5 * (press + unit[17] * pebbles)
    lines = lines + (0.35 + 0.4 * unit[17]) * under_lip
    return lines + 0.8 * nostril + 0.25 * groove + 0.15 * shadow


def _beard(f: Frame, who: Identity) -> Tensor:
    jaw = _step(f.rim - 0.45 - 0.45 * _step(f.y - 0.45, 0.3), 0.35)
    below_lip = _bump(f.x / 0.2, (f.y - 1.0) / 0.06)
    return who.beard * _step(f.y - 0.50, 0.25) * jaw * (1 - 0.85 * below_lip)


def _paint_mouth(skin: Tensor, shade: Tensor, f: Frame, who: Identity, mouth: Mouth) -> Tensor:
    """Light the skin, and put lips, teeth and the dark of the mouth on it."""
    unit, y = f.unit, f.y
    lips = mouth.within * _step(y - mouth.upper_edge, SOFT) * _step(mouth.lower_edge - y, SOFT)
    upper = _step((mouth.upper_free + mouth.lower_free) / 2 - y, SOFT)
    tone = who.skin_tone * who.lip_tone * (1 - 0.15 * upper)
    face = _paint(skin, tone, 0.85 * lips) * shade

    cavity = _step(y - mouth.upper_free, SOFT) * _step(mouth.lower_free - y, SOFT)
    cavity = cavity * _step(1 - mouth.across.abs(), 0.10) * mouth.open
    bared = (0.3 + unit[10] + unit[12] + 0.7 * unit[20] - 0.3 * unit[27]).clamp(0, 1)
    teeth = _step(mouth.upper_free + 0.10 - y, 0.075) * _step(0.92 - mouth.across.abs(), 0.2)
    teeth = bared * teeth
    tongue = 0.10 + 0.12 * _step(y - mouth.lower_free + 0.07, 0.1)
    ivory = (1 - 0.3 * mouth.across.square()) * (0.6 + 0.45 * shade)
    face = _paint(face, _paint(tongue, ivory, teeth), cavity)
    seam = mouth.within * _line(y - mouth.upper_free, 0.035) * (0.65 + 0.2 * unit[24])
    return face * (1 - seam * (1 - 0.5 * teeth * cavity))


def _paint_eyes(
    face: Tensor, shade: Tensor, f: Frame, who: Identity, photo: Photo, lids: Lids
) -> Tensor:
    outwards = torch.sign(f.x)
    x = f.x - outwards * who.eye_distance - photo.gaze_x
    y = f.y - EYE_Y - photo.gaze_y + 0.2 * who.eye_opening
    radius = torch.addcmul(x * x, y, y).sqrt()
    eye = (0.45 + 0.5 * shade) * (1 - 0.25 * lids.across.square())
    eye = _paint(eye, who.iris_tone, _step(0.108 - radius, SOFT))
    eye = _paint(eye, 0.04, _step(0.052 - radius, SOFT))
    eye = eye * (1 - 0.45 * _line(lids.below_upper, 0.06))
    eye = _paint(eye, 1.1, 0.85 * _bump((x + 0.035) / 0.035, (y + 0.04) / 0.035))

    opening = _step(lids.below_upper, SOFT) * _step(lids.above_lower, SOFT)
    face = _paint(face, eye, opening * _step(1 - lids.across.abs(), 0.2))
    lashes = 0.75 * _line(lids.below_upper, 0.035) + 0.2 * _line(lids.above_lower, 0.03)
    return face * (1 - (lids.near * lashes).clamp_max(0.9))


def _paint_brows(face: Tensor, shade: Tensor, who: Identity, brows: Brows) -> Tensor:
    along = brows.along
    half = who.brow_thickness * (1 - 0.65 * along.clamp(0, 1).square())
    hairs = _step(half - brows.below.abs(), 0.06) * _step(along + 0.02, 0.12)
    hairs = hairs * _step(1 - along, 0.25)
    return _paint(face, who.brow_tone * (0.6 + 0.4 * shade), 0.85 * hairs)


def _paint_head(face: Tensor, shade: Tensor, f: Frame, who: Identity, photo: Photo) -> Tensor:
    """Put the face between its hair, ears and neck, before a background."""
    x, head_x, head_y = f.x, f.head_x, f.head_y
    strands = 0.16 * torch.sin(9 * x + 14 * head_x * head_y + 20 * who.parting)
    strands = 1 + strands + 0.08 * torch.sin(31 * x - 9 * f.y)
    hair = who.hair_tone * strands * (0.45 + 0.7 * shade)
    aside = x - who.parting
    line = who.hairline + 0.55 * aside * aside + 0.04 * torch.sin(13 * aside)
    fringe = _step(line - f.y, 0.10) * _step(1.06 - f.rim, 0.1)
    fringe = fringe * _step(who.hair_length.clamp_max(0.3) - 0.05 - f.y, 0.3)
    half = who.face_width + who.hair_volume
    crown = (
        (head_x / (half + 0.03)) ** 2 + ((head_y + 0.25) / (1.25 + who.hair_volume)) ** 2
    ).sqrt()
    hanging = _step(half - head_x.abs(), SOFT) * _step(head_y + 0.25, 0.1)
    mop = torch.maximum(_step(1 - crown, 0.08), hanging) * _step(who.hair_length - head_y, 0.3)
    temples = mop * _step(f.rim - 1, SOFT) * _step(-0.1 - head_y, 0.2)

    across = torch.linspace(-0.5, 0.5, SIZE)
    scene = (photo.background + photo.background_slope * across).expand_as(face)
    scene = _paint(scene, 0.75 * hair, mop)
    neck = _step(0.7 * who.face_width - head_x.abs(), SOFT) * _step(head_y - 0.5, 0.1)
    neck_shade = (0.35 + 0.35 * photo.ambient) * (1 + 0.3 * head_x * photo.light_x.sign())
    scene = _paint(scene, who.skin_tone * neck_shade, neck)
    ear = _bump((head_x.abs() - who.face_width) / 0.09, (head_y + 0.02) / 0.2)
    ear = (2 * ear).clamp_max(1) * _step(head_y - who.hair_length + 0.1, 0.2)
    scene = _paint(scene, who.skin_tone * (0.38 + 0.38 * photo.ambient), ear)
    scene = _paint(scene, face, _step(1 - f.rim, SOFT))
    return _paint(scene, hair, torch.maximum(fringe, temples))


def _paint_glasses(scene: Tensor, f: Frame, who: Identity, photo: Photo) -> Tensor:
    x, y = (f.side - who.eye_distance - 0.02).abs() / 0.31, (f.y - EYE_Y - 0.03).abs() / 0.23
    lens = x * x * x + y * y * y  # 1 on the frame
    frame = _line(lens - 1, 0.36) + _line(f.y - EYE_Y + 0.03, 0.04) * _step(0.14 - f.side, 0.05)
    frame = frame.clamp_max(1)
    scene = scene * (1 - 0.8 * who.glasses * frame)
    return _paint(scene, 0.12, photo.sunglasses * torch.maximum(frame, _step(1.15 - lens, 0.4)))


def _paint_covers(scene: Tensor, f: Frame, who: Identity, photo: Photo) -> Tensor:
    """Hide parts of some faces behind a scarf, a bar or the fingers of a hand."""
    weave = 1 + 0.15 * torch.sin(12 * f.y + 5 * f.x * f.x)
    scarf = _step(f.y - 0.52 - 0.08 * torch.sin(3 * f.x), 0.08)
    scene = _paint(scene, photo.cover_tone * weave, photo.scarf * scarf)
    bar = _step(0.28 - (f.head_x - photo.cover_x + 0.3 * f.head_y).abs(), SOFT)
    scene = _paint(scene, photo.cover_tone, photo.bar * bar)
    across = (f.head_x - photo.cover_x) / 0.11
    finger = (across - 2 * torch.round(across / 2)).square()  # 0 in the middle, 1 at the edges
    tips = 0.12 + 0.10 * finger + 0.02 * (across - 1).square()
    hand = _step(4 - across.abs(), 0.8) * _step(f.head_y - tips, SOFT)
    return _paint(scene, who.skin_tone * (0.95 - 0.35 * finger * finger), photo.hand * hand)


def _photograph(scene: Tensor, photo: Photo) -> Tensor:
    """Blur, expose with a film's soft shoulder, and set the contrast."""
    scene = _blur(_blur(scene, photo.blur).mT, photo.blur).mT
    film = torch.tanh(photo.gain * scene)
    return (0.45 + photo.contrast * (film - 0.45)).clamp(0, 1)[:, None]


def _blur(picture: Tensor, weight: Tensor) -> Tensor:
    """Filter each row with (weight, 1 - 2 weight, weight), repeating the pixels at its ends."""
    before = torch.cat((picture[..., :1], picture[..., :-1]), -1)
    after = torch.cat((picture[..., 1:], picture[..., -1:]), -1)
    return picture + weight * (before + after - 2 * picture)
