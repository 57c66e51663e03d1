"""Mixtures read again from what the commands have written: a run's folder, or a model file."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fer_lightning.errors import InputError, SettingError
from fer_lightning.files import number_at, text_at, value_at
from fer_lightning.runs import run_summary
from gmm.faces.features import Features, Pixels, PrincipalComponents
from gmm.mixtures.mixture import Mixture
from gmm.mixtures.model_file import ModelFileError

CLUSTERS, CLASSES = "mixture.pt", "mixtures.pt"  # of a clustering, and of a classifier


@dataclass(frozen=True, eq=False)
class StoredMixture:
    """What a run has found, or a model file holds.

    Attributes:
        mixture: Of batch shape (), or (C,) for a mixture per class; on the CPU.
        folder: Of the run, or None for a file outside of one.
        features: How faces become its points, or None where nothing says so.
        log_prior: log p(c), (C,), for a mixture per class.
        classes: Their names.
        temperature: What calibrates p(c | x), or None.
    """

    mixture: Mixture
    folder: Path | None
    features: Features | None
    log_prior: Tensor | None = None
    classes: tuple[str, ...] | None = None
    temperature: float | None = None


def stored_mixture(name: str, n_components: int | None = None) -> StoredMixture:
    """Return the mixture, or the mixtures of all classes, that a user names.

    Args:
        name: Folder of a run of `gmm.cluster` or `gmm.classify`, or a model file.
        n_components: Which of the sizes that a run of `gmm.classify` has fitted; by default the one
            that is best on the validation faces.

    Raises:
        InputError: There is none, it is damaged, or has no such size.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        path = path / (CLASSES if (path / CLASSES).exists() else CLUSTERS)
    if not path.is_file():
        raise InputError(f"no such run of gmm.cluster or gmm.classify, nor model file: {name}")
    try:
        mixture = Mixture.load(path)
    except (OSError, ModelFileError) as error:
        raise InputError(str(error)) from error
    summary = run_summary(path.parent) if path.name in (CLUSTERS, CLASSES) else {}
    folder = path.parent if summary else None
    features = _features(path.parent, summary, mixture.n_features)
    if not mixture.batch_shape:
        if n_components is not None:
            raise SettingError("n_components", "be null for a clustering", n_components)
        return StoredMixture(mixture, folder, features)
    return _of_classes(path, mixture, summary, features, n_components)


def _of_classes(
    path: Path,
    mixture: Mixture,
    summary: dict[str, Any],
    features: Features | None,
    n_components: int | None,
) -> StoredMixture:
    classes, prior, sizes = (_listed(summary, k) for k in ("classes", "prior", "n_components"))
    shape, numbers = tuple(mixture.batch_shape), (float, int)
    agree = shape == (len(classes), len(sizes)) and len(prior) == len(classes)
    if not agree or not all(isinstance(share, numbers) and share > 0 for share in prior):
        beside = path.parent / "summary.json"
        needed = f"the summary of their run, {beside}, which is not there or another's"
        raise InputError(f"{path}: mixtures of batch shape {shape} need {needed}")
    chosen = value_at(summary, "best", "n_components") if n_components is None else n_components
    if chosen not in sizes:
        raise SettingError("n_components", f"be one of {', '.join(map(str, sizes))}", chosen)
    return StoredMixture(
        mixture[:, sizes.index(chosen)],
        path.parent,
        features,
        torch.tensor(prior, dtype=torch.float64).log(),
        tuple(map(str, classes)),
        number_at(summary, "calibration", "temperature"),
    )


def _listed(summary: dict[str, Any], key: str) -> list[Any]:
    """Return the list of a name in a summary, or an empty one."""
    found = summary.get(key)
    return found if isinstance(found, list) else []


def _features(folder: Path, summary: dict[str, Any], D: int) -> Features | None:
    """Return how faces become the points of a run, or None where that is not stored."""
    name = text_at(summary, "features", "name")
    if name == "pixels" and math.isqrt(D) ** 2 == D:
        return Pixels()
    path = folder / "features.npz"
    if name != "pca" or not path.exists():
        return None
    explained = number_at(summary, "features", "explained")
    try:
        features = PrincipalComponents.load(path, explained or math.nan)
    except Exception as error:  # NumPy fails in many ways on what it did not write
        raise InputError(f"{path}: damaged, or not the features of a run") from error
    if len(features.components) != D:
        n = len(features.components)
        raise InputError(f"{path}: must have {D} components for these mixtures, got {n}")
    return features
