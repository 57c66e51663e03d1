"""Where the features of a face lie: its frame, brows, lids, mouth, nose and nasolabial fold."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fer_lightning.data.drawing.action_units import COLUMN
from fer_lightning.data.drawing.soft_shapes import line, step
from fer_lightning.data.image_size import SIZE

EYE_Y = -0.16


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
    scale: Tensor  # pixels per face unit, as others, of a picture of 48 x 48
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
    side: Tensor  # |x|
    nose_x: Tensor  # the same for the nose, which stands out and so moves further
    nose_y: Tensor
    rim: Tensor  # 0 in the middle of the head, 1 at its outline
    depth: Tensor  # towards the camera, of the head without features
    chin: Tensor  # y of the chin
    right: Tensor  # 0 on the left half of the face, 1 on the right
    halves: dict[int, Tensor]  # strength of a unit on each half, (n, 2)
    unit: dict[int, Tensor]  # its mean, (n, 1, 1)

    def sided(self, value: Tensor) -> Tensor:
        """Spread one value for each half of the face, (n, 2), over the picture."""
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


def place_frame(units: Tensor, who: Identity, photo: Photo, side: int) -> Frame:
    halves = {number: units[:, column] for number, column in COLUMN.items()}
    unit = {number: half.mean(-1)[:, None, None] for number, half in halves.items()}

    axis = (torch.arange(side) - (side - 1) / 2) * (SIZE / side)
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
        side=x.abs(),
        nose_x=x - 0.22 * photo.yaw.sin(),
        nose_y=y - 0.16 * photo.pitch.sin(),
        rim=rim,
        depth=depth,
        chin=chin,
        right=step(x, 0.4),
        halves=halves,
        unit=unit,
    )


def place_brows(f: Frame, who: Identity) -> Brows:
    au = f.halves
    along = (f.side - 0.17 + 0.05 * f.unit[4]) / 0.58
    inner = f.sided(-0.14 * au[1] - 0.01 * au[2] + 0.10 * au[4] + 0.03 * au[9])
    outer = f.sided(0.02 + 0.03 * au[1] - 0.15 * au[2] + 0.04 * au[4] + 0.02 * au[6])
    arch = f.sided(0.18 + 0.08 * au[2] - 0.12 * au[4])
    middle = EYE_Y - who.brow_height + inner + along * (outer - inner - arch * (1 - along))
    return Brows(along=along, below=f.y - middle)


def place_lids(f: Frame, who: Identity) -> Lids:
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
        near=step(1.05 - across.abs(), 0.25),
    )


def place_mouth(f: Frame, who: Identity) -> Mouth:
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
    cupids_bow = 1 - 0.25 * line(across, 0.16)
    return Mouth(
        across=across,
        half=half,
        level=level,
        corner=corner,
        upper_edge=upper_free - lift * (1 - opened) * arch - 0.085 * lip * cupids_bow,
        upper_free=upper_free,
        lower_free=lower_free,
        lower_edge=lower_free + 0.115 * lip * (1 + 0.2 * unit[17]),
        within=step(1 - across.abs(), 0.12),
        open=(4 * unit[25] + 6 * unit[26] + 6 * unit[27]).clamp(0, 1),
    )


def nose_length(f: Frame, who: Identity) -> Tensor:
    return who.nose_length - 0.05 * f.unit[9] - 0.02 * f.unit[10]


def nose_width(f: Frame, who: Identity) -> Tensor:
    return who.nose_width * (1 + 0.15 * f.unit[9] + 0.1 * f.unit[12])


def nasolabial_fold(f: Frame, who: Identity, mouth: Mouth) -> tuple[Tensor, Tensor]:
    """Return the distance outwards from the fold between nose and mouth corner, and its depth."""
    au = f.halves
    fall = f.y - nose_length(f, who)
    slope = f.sided(0.42 + 0.30 * au[12] + 0.1 * au[20])
    distance = f.side - nose_width(f, who) - 0.06 - slope * (fall + 0.06).clamp_min(0)
    depth = 0.75 * au[9] + 0.65 * au[10] + 0.65 * au[12] + 0.25 * au[15] + 0.2 * au[20]
    depth = (0.25 * who.age + f.sided(depth)).clamp_max(1.3)
    return distance, depth * step(fall + 0.1, 0.12) * step(mouth.level + 0.08 - f.y, 0.25)
