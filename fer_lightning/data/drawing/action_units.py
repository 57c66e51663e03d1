"""Facial action units, and how strongly faces of each expression show them.

Units and prototypes follow Ekman & Friesen, Facial Action Coding System (1978), and their
EMFACS tables of the units that belong to each emotion.
"""

import numpy as np
import torch
from torch import Tensor

from fer_lightning.data.class_names import CLASSES

UNITS = {
    "inner_brow_raise": 1,
    "outer_brow_raise": 2,
    "brow_lower": 4,
    "upper_lid_raise": 5,
    "cheek_raise": 6,
    "lid_tighten": 7,
    "nose_wrinkle": 9,
    "upper_lip_raise": 10,
    "corner_pull": 12,
    "corner_depress": 15,
    "chin_raise": 17,
    "lip_stretch": 20,
    "lip_tighten": 23,
    "lip_press": 24,
    "lips_part": 25,
    "jaw_drop": 26,
    "mouth_stretch": 27,
    "lid_droop": 43,
}
COLUMN = {number: column for column, number in enumerate(UNITS.values())}

# Strength of each unit, in [0, 1], at full expression. A face shows one of its class's variants.
PROTOTYPES: dict[str, tuple[dict[int, float], ...]] = {
    "anger": (
        {4: 1.0, 5: 0.5, 7: 0.8, 23: 0.8, 24: 0.7, 17: 0.3},
        {4: 1.0, 7: 0.8, 23: 0.9, 24: 0.9, 17: 0.5},
        {4: 1.0, 5: 0.7, 7: 0.6, 9: 0.3, 10: 0.6, 25: 0.9, 26: 0.4},
    ),
    "disgust": (
        {9: 1.0, 10: 0.7, 15: 0.4, 17: 0.6, 4: 0.4, 7: 0.5},
        {9: 0.8, 10: 1.0, 17: 0.3, 25: 0.5, 7: 0.4, 6: 0.3},
        {9: 0.9, 10: 0.8, 15: 0.6, 17: 0.8, 4: 0.6, 7: 0.7},
    ),
    "fear": (
        {1: 1.0, 2: 0.6, 4: 0.6, 5: 0.9, 20: 0.9, 25: 0.8},
        {1: 0.9, 2: 0.5, 4: 0.7, 5: 1.0, 20: 0.7, 25: 0.6, 26: 0.5},
        {1: 1.0, 2: 0.8, 4: 0.5, 5: 0.9, 20: 1.0, 25: 0.7, 26: 0.3},
    ),
    "happy": (
        {6: 0.8, 12: 1.0, 25: 0.8},
        {6: 0.6, 12: 0.8},
        {6: 0.9, 12: 1.0, 25: 1.0, 26: 0.4},
    ),
    "sad": (
        {1: 1.0, 4: 0.6, 15: 0.9, 17: 0.5, 43: 0.5},
        {1: 0.8, 4: 0.4, 15: 1.0, 43: 0.6},
        {1: 1.0, 4: 0.7, 15: 0.7, 17: 0.8, 43: 0.3, 7: 0.3},
    ),
    "surprise": (
        {1: 1.0, 2: 1.0, 5: 0.8, 25: 0.6, 26: 1.0},
        {1: 0.9, 2: 1.0, 5: 0.9, 25: 0.6, 26: 0.6, 27: 0.6},
        {1: 1.0, 2: 0.9, 5: 0.7, 25: 0.5, 26: 0.7},
    ),
    "neutral": ({}, {}, {}),
}

INTENSITY_SHAPE = (1.2, 0.9)  # of the beta distribution of intensities
UNIT_SPREAD = 0.25  # relative, per unit and face
SIDE_SPREAD = 0.12  # relative, per unit and half of the face
UNIT_NOISE = 0.11  # absolute, also where an expression does not use the unit


def prototypes() -> Tensor:
    """Return the strength of each action unit at full expression, (C, variants, U)."""
    n_variants = max(len(variants) for variants in PROTOTYPES.values())
    table = torch.zeros(len(CLASSES), n_variants, len(UNITS))
    for row, name in zip(table, CLASSES, strict=True):
        for cell, variant in zip(row, PROTOTYPES[name], strict=True):
            for number, strength in variant.items():
                cell[COLUMN[number]] = strength
    return table


def sample_units(labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw how strongly faces with given expressions show each action unit.

    Args:
        labels: Index into `CLASSES`, (N,).
        rng: Source of all randomness.

    Returns:
        Strengths in [0, 1] on the left and the right half of the picture, (N, U, 2).
    """

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    N, U = len(labels), len(UNITS)
    table = prototypes()
    variant = torch.from_numpy(rng.integers(table.shape[1], size=N))
    intensity = torch.from_numpy(rng.beta(*INTENSITY_SHAPE, size=N).astype(np.float32))
    strength = table[labels, variant] * intensity[:, None]  # (N, U)
    strength = strength * (1 + UNIT_SPREAD * normal(N, U)) + UNIT_NOISE * normal(N, U).abs()
    return (strength[..., None] * (1 + SIDE_SPREAD * normal(N, U, 2))).clamp(0, 1)
