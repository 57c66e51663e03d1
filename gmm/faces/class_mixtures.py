"""A mixture of every K for every class, fitted as one batch, and Bayes' rule."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fer_lightning.data import CLASSES, SPLITS
from fer_lightning.errors import InputError, SettingError
from gmm.faces.face_points import FacePoints
from gmm.faces.kept_state import Turns
from gmm.faces.settings import MixtureSettings
from gmm.fitting.em import Callback, Memory
from gmm.fitting.fit import ManyFits, fit_many
from gmm.mixtures.mixture import Mixture

PRIORS = ("counts", "uniform")


@dataclass(frozen=True, eq=False)
class Labelled:
    """Points with their classes.

    Attributes:
        points: (N, D).
        classes: Position of each point's class among the chosen classes, (N,), on the CPU.
    """

    points: Tensor
    classes: Tensor


@dataclass(frozen=True, eq=False)
class ClassMixtures:
    """Mixtures p(x | c) of every K, and p(c).

    Attributes:
        mixtures: Batch shape (C, number of K).
        log_prior: log p(c), (C,), float64.
        empty: Number of components that no point belongs to.
        shares_covariance: Whether the classes have one covariance together.
    """

    mixtures: Mixture
    log_prior: Tensor
    empty: int
    shares_covariance: bool = False

    @property
    def n_parameters(self) -> list[int]:
        """Return the number of free parameters of all classes together, for every K."""
        mixtures, C = self.mixtures, len(self.log_prior)
        counts = mixtures.n_parameters.sum(0).tolist()
        if self.shares_covariance:
            kind, D = mixtures.structure, mixtures.n_features
            sizes = mixtures.n_components[0].tolist()
            own = [C * kind.n_parameters(K, D) - kind.n_parameters(1, D) for K in sizes]
            counts = [n - saved for n, saved in zip(counts, own, strict=True)]
        return [n + C - 1 for n in counts]

    def log_proba(self, points: Tensor, chunk_size: int | None = None) -> Tensor:
        """Return log p(c | x) for every K by Bayes' rule, (number of K, N, C), float64 on CPU."""
        evidence = self.mixtures.score_samples(points, chunk_size, torch.float64).cpu()
        joint = evidence + self.log_prior[:, None, None]  # (C, number of K, N)
        return joint.log_softmax(0).permute(1, 2, 0)


def class_faces(faces: FacePoints, classes: list[int], largest: int) -> dict[str, Labelled]:
    """Return the faces of the chosen classes in all splits.

    Args:
        faces: All faces.
        classes: Indices into `CLASSES`.
        largest: The largest number of components.

    Raises:
        InputError: A class has no training face or fewer than components, or a split has none.
    """
    counts = faces.splits.train.class_counts()
    for c in classes:
        if counts[c] == 0:
            raise InputError(f"classes must have training faces of each, got none of {CLASSES[c]}")
    fewest = min(classes, key=lambda c: counts[c])
    if largest > counts[fewest]:
        rule = f"be at most the number of training faces of {CLASSES[fewest]} ({counts[fewest]})"
        raise SettingError("mixture.n_components", rule, largest)
    return {split: _labelled(faces, split, classes) for split in SPLITS}


def _labelled(faces: FacePoints, split: str, classes: list[int]) -> Labelled:
    labels = faces.labels(split)
    position = torch.full((len(CLASSES),), -1)
    position[classes] = torch.arange(len(classes))
    rows = (position[labels] >= 0).nonzero()[:, 0]
    if not len(rows):
        names = ", ".join(CLASSES[c] for c in classes)
        raise InputError(f"the {split} split must have faces of {names}, got none")
    return Labelled(faces.points(split, rows), position[labels[rows]])


def fit_classes(
    train: Labelled,
    n_classes: int,
    settings: MixtureSettings,
    start: str,
    seed: int,
    callback: Callback | None = None,
    memory: Memory | None = None,
    prior: str = "counts",
) -> list[ClassMixtures]:
    """Fit mixtures of every K to the points of every class, all of them as one batch.

    Numbers of factors, whose loadings differ in shape, have such a batch each.

    Args:
        train: The points.
        n_classes: C.
        settings: Of the mixtures.
        start: Where they begin.
        seed: Of the starts, which are the same for every number of factors.
        callback: See `gmm.fit_em`, as for memory.
        prior: p(c): counts, the classes' shares of the training points, or uniform.

    Returns:
        The mixtures, in the order of the numbers of factors.

    Raises:
        InputError: A mixture lost a covariance in every restart.
    """
    members = [(train.classes == c).nonzero()[:, 0] for c in range(n_classes)]
    counts = torch.tensor([len(rows) for rows in members], dtype=torch.float64)
    counts = torch.ones_like(counts) if prior == "uniform" else counts
    log_prior = (counts / counts.sum()).log()
    points = [train.points[rows.to(train.points.device)] for rows in members]
    if memory is not None and len(settings.factors) > 1:
        memory = Turns(memory)
    found = []
    for n_factors in settings.factors:
        fits = _fit(points, n_factors, settings, start, seed, callback, memory)
        shares = settings.share_covariance
        found.append(ClassMixtures(fits.mixture, log_prior, int(fits.empty.sum()), shares))
    return found


def _fit(
    points: list[Tensor],
    n_factors: int,
    settings: MixtureSettings,
    start: str,
    seed: int,
    callback: Callback | None,
    memory: Memory | None,
) -> ManyFits:
    fits = fit_many(
        points,
        settings.sizes,
        n_init=settings.n_init,
        start=settings.start(start),
        covariance_type=settings.covariance_type,
        n_factors=n_factors,
        generator=torch.Generator().manual_seed(seed),
        callback=callback,
        memory=memory,
        share_covariance=settings.share_covariance,
        **settings.em,
    )
    broken = int(fits.singular.any(-1).sum())
    if broken:
        n = fits.best.numel()
        raise InputError(f"{broken} of {n} mixtures lost a covariance; {settings.remedy}")
    return fits
