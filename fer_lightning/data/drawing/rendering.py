"""Grey portraits drawn from action units: a relief of bumps and folds, lit, painted, photographed.

A face has its own frame: `x` runs across the picture to the right and `y` down, both in units of
half an average face's width, with the origin between eyes and nose; `side` is |x|, so that both
halves are drawn at once. Tones are reflectances, 0 black and 1 white. Inside this module every
parameter of a face has shape (n, 1, 1) and every picture (n, H, H). The file is long because a
picture is drawn in one go, from the back to the front.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fer_lightning.data.drawing.landmarks import (
    EYE_Y,
    Brows,
    Frame,
    Identity,
    Lids,
    Mouth,
    Photo,
    nasolabial_fold,
    nose_length,
    nose_width,
    place_brows,
    place_frame,
    place_lids,
    place_mouth,
)
from fer_lightning.data.drawing.soft_shapes import SOFT, bump, line, paint, step
from fer_lightning.data.image_size import SIZE
from fer_lightning.machine import n_cores

# Pixels drawn together, so that memory grows neither with the number of faces nor with their size.
CHUNK = 64 * SIZE * SIZE

# The C library of Linux gives the memory of a picture back to the system, which clears it again for
# the next, unless a block of so many numbers has been freed: a quarter of the time of drawing.
KEPT = 2**22


def render(units: Tensor, identity: Identity, photo: Photo, image_size: int = SIZE) -> Tensor:
    """Draw faces as grey pictures.

    Below 48 pixels they are drawn larger and averaged, as no shape has an edge finer than that.

    Args:
        units: Strength of each action unit on the left and the right half, (N, U, 2), in [0, 1].
        identity: Who is shown.
        photo: How they are shown.
        image_size: Side of the pictures in pixels, H.

    Returns:
        Grey levels in [0, 1], (N, 1, H, H).
    """
    finer = -(-SIZE // image_size)
    side = finer * image_size
    n = max(1, CHUNK // side**2)
    parts = [slice(start, start + n) for start in range(0, len(units), n)]

    def draw(part: slice) -> Tensor:
        drawn = _draw(units[part], _rows(identity, part), _rows(photo, part), side)
        return avg_pool2d(drawn, finer) if finer > 1 else drawn

    torch.empty(KEPT)  # is freed at once
    with _one_thread(), ThreadPoolExecutor(n_cores()) as cores:
        return torch.cat(list(cores.map(draw, parts)))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep PyTorch from splitting operations of microseconds between threads.

    On busy cores the threads would wait for each other hundreds of times per chunk of faces. It
    holds for threads that begin inside the block, too.
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


def _draw(units: Tensor, who: Identity, photo: Photo, side: int) -> Tensor:
    f = place_frame(units, who, photo, side)
    brows, lids, mouth = place_brows(f, who), place_lids(f, who), place_mouth(f, who)
    fold, fold_depth = nasolabial_fold(f, who, mouth)
    relief = _relief(f, who, brows, mouth) + fold_depth * (
        0.06 * step(fold, 0.14) * line(fold, 0.3) - 0.02 * line(fold, 0.05)
    )
    shade = _shade(relief, photo)
    dark = _upper_creases(f, who, lids) + _lower_creases(f, who, mouth)
    dark = dark + 0.4 * fold_depth * line(fold, 0.05)

    face = who.skin_tone * (1 - 0.6 * _beard(f, who)) * torch.exp(-dark)
    face = _paint_mouth(face, shade, f, who, mouth)
    face = _paint_eyes(face, shade, f, who, photo, lids)
    face = _paint_brows(face, shade, who, brows)
    scene = _paint_head(face, shade, f, who, photo)
    scene = _paint_glasses(scene, f, who, photo)
    return _photograph(_paint_covers(scene, f, who, photo), photo)


def _relief(f: Frame, who: Identity, brows: Brows, mouth: Mouth) -> Tensor:
    """Return the height of the face towards the camera, in face units."""
    au, x, y, side = f.halves, f.x, f.y, f.side
    tip, wing = nose_length(f, who), nose_width(f, who)
    along = ((f.nose_y + 0.35) / (tip + 0.35)).clamp(0, 1)
    nose = (0.06 + 0.17 * along * along) * line(f.nose_x / (0.11 + 0.07 * along), 1.0)
    nose = nose * step(tip + 0.06 - f.nose_y, 0.22) * step(f.nose_y + 0.4, 0.3)
    wings = bump((f.nose_x.abs() - wing) / 0.075, (f.nose_y - tip + 0.02) / 0.08)
    raised = f.sided(0.6 * au[6] + 0.5 * au[12])
    cheek = (0.09 + 0.08 * raised) * bump((side - 0.53) / 0.25, (y - 0.30 + 0.10 * raised) / 0.24)
    socket = bump((side - 0.36) / 0.24, (y - EYE_Y + 0.03) / 0.15)
    eyeball = bump((side - who.eye_distance) / 0.17, (y - EYE_Y) / 0.12)
    ridge = (0.05 + 0.03 * f.sided(au[4])) * bump((side - 0.36) / 0.34, brows.below / 0.10)
    muzzle = bump(x / 0.36, (y - mouth.level) / 0.26)
    upper_lip = line(y - (mouth.upper_edge + mouth.upper_free) / 2, 0.06)
    lower_lip = line(y - (mouth.lower_edge + mouth.lower_free) / 2, 0.07)
    lips = mouth.within * (0.045 * upper_lip + 0.055 * lower_lip)
    chin = (0.07 + 0.05 * f.unit[17]) * bump(x / 0.24, (y - _boss(f)) / 0.16)
    bones = nose + 0.10 * wings + cheek - 0.12 * socket + 0.07 * eyeball + ridge
    return f.depth + bones + 0.08 * muzzle + lips + chin


def _boss(f: Frame) -> Tensor:
    """Return the y of the middle of the chin's bulge."""
    return 0.9 * f.chin - 0.04 * f.unit[17]


def _shade(relief: Tensor, photo: Photo) -> Tensor:
    """Return the light that each place reflects, 1 where the surface faces the camera.

    Lambert's law: the cosine between the lamp's direction and the normal (-dz/dx, -dz/dy, 1).
    """
    pixel = SIZE / relief.shape[-1]
    slope_y, slope_x = torch.gradient(relief * photo.scale, spacing=pixel, dim=(-2, -1))
    norm = (1 + slope_x * slope_x + slope_y * slope_y).rsqrt()
    cosine = (1 - slope_x * photo.light_x - slope_y * photo.light_y) * norm
    return photo.ambient + (1 - photo.ambient) * cosine.clamp(0, 1.2)


def _upper_creases(f: Frame, who: Identity, lids: Lids) -> Tensor:
    """Return how dark the lines of brows, lids and the bridge of the nose are, as -log tone."""
    au, x, y, side = f.halves, f.x, f.y, f.side
    frown = f.sided(au[4]) * line(side - 0.083 - 0.02 * y, 0.035) * line(y + 0.36, 0.14)
    bowed = y + 0.10 * side * side
    wrinkles = line(bowed + 0.61, 0.035) + line(bowed + 0.75, 0.035) + line(bowed + 0.88, 0.03)
    wrinkles = wrinkles * f.sided((au[1] + au[2]).clamp_max(1.5))
    wrinkles = wrinkles * line(side * f.sided(1.4 - 0.7 * au[2]), 0.7)
    slant = y - 0.4 * side
    bridge = line(slant + 0.22, 0.03) + line(slant + 0.10, 0.03) + line(slant - 0.02, 0.03)
    bridge = f.unit[9] * line(x, 0.2) * bridge
    fan, outer = y - EYE_Y, side - 0.7
    crow = line(fan + 0.10 + 0.5 * outer, 0.025) + line(fan, 0.025)
    crow = crow + line(fan - 0.10 - 0.4 * outer, 0.025)
    crow = f.sided(au[6]) * step(outer, 0.08) * line(outer - 0.08, 0.12) * crow
    bag = 0.2 * who.age + f.sided(0.9 * au[6] + 0.5 * au[7] + 0.4 * au[9])
    bag = bag * lids.near * line(lids.above_lower + 0.075, 0.03)
    lid = lids.near * line(lids.below_upper + 0.085 - 0.04 * f.sided(au[5]), 0.03)
    socket = 0.28 * bump((side - 0.27) / 0.13, (y - EYE_Y + 0.05) / 0.15)
    socket = socket + 0.15 * bump((side - 0.42) / 0.3, (y - EYE_Y + 0.02) / 0.16)
    lines = 0.8 * frown + (0.2 + 0.2 * who.age) * wrinkles + 0.55 * bridge + 0.45 * (crow + bag)
    return lines + 0.3 * lid + socket


def _lower_creases(f: Frame, who: Identity, mouth: Mouth) -> Tensor:
    """Return how dark the lines of nose, mouth and chin are, as -log tone."""
    au, unit, x = f.halves, f.unit, f.x
    nose_side, under_nose = f.nose_x.abs(), f.nose_y - nose_length(f, who)
    wing = nose_width(f, who)
    nostril = bump((nose_side - 0.55 * wing) / 0.05, (under_nose - 0.035) / 0.032)
    groove = line(nose_side - wing - 0.085, 0.03) * line(under_nose + 0.02, 0.09)
    shadow = bump(f.nose_x / 0.20, (under_nose - 0.10) / 0.06)

    beyond, fall = f.side - mouth.half, f.y - mouth.level
    dimple = f.sided(0.8 * au[12] + 0.5 * au[15] + 0.3 * au[20] + 0.2 * au[24])
    dimple = dimple * bump((beyond - 0.03) / 0.05, (fall - mouth.corner) / 0.07)
    droop = line(beyond - 0.05 - 0.2 * fall, 0.035) * line(fall - mouth.corner - 0.12, 0.10)
    press = unit[24] * bump(beyond / 0.06, fall / 0.10)
    under_lip = bump(x / 0.22, (f.y - mouth.lower_edge - 0.06) / 0.045)
    boss = f.y - _boss(f) + 1.2 * x * x
    pebbles = line(x, 0.16) * (line(boss + 0.08, 0.03) + 0.6 * line(boss - 0.03, 0.03))
    lines = 0.6 * (dimple + f.sided(au[15]) * droop) + 0.5 * (press + unit[17] * pebbles)
    lines = lines + (0.35 + 0.4 * unit[17]) * under_lip
    return lines + 0.8 * nostril + 0.25 * groove + 0.15 * shadow


def _beard(f: Frame, who: Identity) -> Tensor:
    jaw = step(f.rim - 0.45 - 0.45 * step(f.y - 0.45, 0.3), 0.35)
    below_lip = bump(f.x / 0.2, (f.y - 1.0) / 0.06)
    return who.beard * step(f.y - 0.50, 0.25) * jaw * (1 - 0.85 * below_lip)


def _paint_mouth(skin: Tensor, shade: Tensor, f: Frame, who: Identity, mouth: Mouth) -> Tensor:
    """Light the skin, and put lips, teeth and the dark of the mouth on it."""
    unit, y = f.unit, f.y
    lips = mouth.within * step(y - mouth.upper_edge, SOFT) * step(mouth.lower_edge - y, SOFT)
    upper = step((mouth.upper_free + mouth.lower_free) / 2 - y, SOFT)
    tone = who.skin_tone * who.lip_tone * (1 - 0.15 * upper)
    face = paint(skin, tone, 0.85 * lips) * shade

    cavity = step(y - mouth.upper_free, SOFT) * step(mouth.lower_free - y, SOFT)
    cavity = cavity * step(1 - mouth.across.abs(), 0.10) * mouth.open
    bared = (0.3 + unit[10] + unit[12] + 0.7 * unit[20] - 0.3 * unit[27]).clamp(0, 1)
    teeth = step(mouth.upper_free + 0.10 - y, 0.075) * step(0.92 - mouth.across.abs(), 0.2)
    teeth = bared * teeth
    tongue = 0.10 + 0.12 * step(y - mouth.lower_free + 0.07, 0.1)
    ivory = (1 - 0.3 * mouth.across.square()) * (0.6 + 0.45 * shade)
    face = paint(face, paint(tongue, ivory, teeth), cavity)
    seam = mouth.within * line(y - mouth.upper_free, 0.035) * (0.65 + 0.2 * unit[24])
    return face * (1 - seam * (1 - 0.5 * teeth * cavity))


def _paint_eyes(
    face: Tensor, shade: Tensor, f: Frame, who: Identity, photo: Photo, lids: Lids
) -> Tensor:
    outwards = torch.sign(f.x)
    x = f.x - outwards * who.eye_distance - photo.gaze_x
    y = f.y - EYE_Y - photo.gaze_y + 0.2 * who.eye_opening
    radius = torch.addcmul(x * x, y, y).sqrt()
    eye = (0.45 + 0.5 * shade) * (1 - 0.25 * lids.across.square())
    eye = paint(eye, who.iris_tone, step(0.108 - radius, SOFT))
    eye = paint(eye, 0.04, step(0.052 - radius, SOFT))
    eye = eye * (1 - 0.45 * line(lids.below_upper, 0.06))
    eye = paint(eye, 1.1, 0.85 * bump((x + 0.035) / 0.035, (y + 0.04) / 0.035))

    opening = step(lids.below_upper, SOFT) * step(lids.above_lower, SOFT)
    face = paint(face, eye, opening * step(1 - lids.across.abs(), 0.2))
    lashes = 0.75 * line(lids.below_upper, 0.035) + 0.2 * line(lids.above_lower, 0.03)
    return face * (1 - (lids.near * lashes).clamp_max(0.9))


def _paint_brows(face: Tensor, shade: Tensor, who: Identity, brows: Brows) -> Tensor:
    along = brows.along
    half = who.brow_thickness * (1 - 0.65 * along.clamp(0, 1).square())
    hairs = step(half - brows.below.abs(), 0.06) * step(along + 0.02, 0.12)
    hairs = hairs * step(1 - along, 0.25)
    return paint(face, who.brow_tone * (0.6 + 0.4 * shade), 0.85 * hairs)


def _paint_head(face: Tensor, shade: Tensor, f: Frame, who: Identity, photo: Photo) -> Tensor:
    """Put the face between its hair, ears and neck, before a background."""
    x, head_x, head_y = f.x, f.head_x, f.head_y
    strands = 0.16 * torch.sin(9 * x + 14 * head_x * head_y + 20 * who.parting)
    strands = 1 + strands + 0.08 * torch.sin(31 * x - 9 * f.y)
    hair = who.hair_tone * strands * (0.45 + 0.7 * shade)
    aside = x - who.parting
    line = who.hairline + 0.55 * aside * aside + 0.04 * torch.sin(13 * aside)
    fringe = step(line - f.y, 0.10) * step(1.06 - f.rim, 0.1)
    fringe = fringe * step(who.hair_length.clamp_max(0.3) - 0.05 - f.y, 0.3)
    half = who.face_width + who.hair_volume
    crown = (
        (head_x / (half + 0.03)) ** 2 + ((head_y + 0.25) / (1.25 + who.hair_volume)) ** 2
    ).sqrt()
    hanging = step(half - head_x.abs(), SOFT) * step(head_y + 0.25, 0.1)
    mop = torch.maximum(step(1 - crown, 0.08), hanging) * step(who.hair_length - head_y, 0.3)
    temples = mop * step(f.rim - 1, SOFT) * step(-0.1 - head_y, 0.2)

    across = torch.linspace(-0.5, 0.5, face.shape[-1])
    scene = (photo.background + photo.background_slope * across).expand_as(face)
    scene = paint(scene, 0.75 * hair, mop)
    neck = step(0.7 * who.face_width - head_x.abs(), SOFT) * step(head_y - 0.5, 0.1)
    neck_shade = (0.35 + 0.35 * photo.ambient) * (1 + 0.3 * head_x * photo.light_x.sign())
    scene = paint(scene, who.skin_tone * neck_shade, neck)
    ear = bump((head_x.abs() - who.face_width) / 0.09, (head_y + 0.02) / 0.2)
    ear = (2 * ear).clamp_max(1) * step(head_y - who.hair_length + 0.1, 0.2)
    scene = paint(scene, who.skin_tone * (0.38 + 0.38 * photo.ambient), ear)
    scene = paint(scene, face, step(1 - f.rim, SOFT))
    return paint(scene, hair, torch.maximum(fringe, temples))


def _paint_glasses(scene: Tensor, f: Frame, who: Identity, photo: Photo) -> Tensor:
    x, y = (f.side - who.eye_distance - 0.02).abs() / 0.31, (f.y - EYE_Y - 0.03).abs() / 0.23
    lens = x * x * x + y * y * y  # 1 on the frame
    frame = line(lens - 1, 0.36) + line(f.y - EYE_Y + 0.03, 0.04) * step(0.14 - f.side, 0.05)
    frame = frame.clamp_max(1)
    scene = scene * (1 - 0.8 * who.glasses * frame)
    return paint(scene, 0.12, photo.sunglasses * torch.maximum(frame, step(1.15 - lens, 0.4)))


def _paint_covers(scene: Tensor, f: Frame, who: Identity, photo: Photo) -> Tensor:
    """Hide parts of some faces behind a scarf, a bar or the fingers of a hand."""
    weave = 1 + 0.15 * torch.sin(12 * f.y + 5 * f.x * f.x)
    scarf = step(f.y - 0.52 - 0.08 * torch.sin(3 * f.x), 0.08)
    scene = paint(scene, photo.cover_tone * weave, photo.scarf * scarf)
    bar = step(0.28 - (f.head_x - photo.cover_x + 0.3 * f.head_y).abs(), SOFT)
    scene = paint(scene, photo.cover_tone, photo.bar * bar)
    across = (f.head_x - photo.cover_x) / 0.11
    finger = (across - 2 * torch.round(across / 2)).square()  # 0 in the middle, 1 at the edges
    tips = 0.12 + 0.10 * finger + 0.02 * (across - 1).square()
    hand = step(4 - across.abs(), 0.8) * step(f.head_y - tips, SOFT)
    return paint(scene, who.skin_tone * (0.95 - 0.35 * finger * finger), photo.hand * hand)


def _photograph(scene: Tensor, photo: Photo) -> Tensor:
    """Blur the scene, expose it with a film's soft shoulder, and set the contrast."""
    finer = (scene.shape[-1] / SIZE) ** 2  # a blur of the same width has that variance in pixels
    n_times = math.ceil(finer)
    weight = photo.blur * (finer / n_times)
    for _ in range(n_times):
        scene = _blur(_blur(scene, weight).mT, weight).mT
    film = torch.tanh(photo.gain * scene)
    return (0.45 + photo.contrast * (film - 0.45)).clamp(0, 1)[:, None]


def _blur(picture: Tensor, weight: Tensor) -> Tensor:
    """Filter each row with (weight, 1 - 2 weight, weight), repeating the pixels at its ends."""
    before = torch.cat((picture[..., :1], picture[..., :-1]), -1)
    after = torch.cat((picture[..., 1:], picture[..., -1:]), -1)
    return picture + weight * (before + after - 2 * picture)
