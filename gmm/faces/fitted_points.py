"""What `python -m gmm.cluster` fits to: the training faces, or faces that no memory holds."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from omegaconf import DictConfig
from torch import Tensor

from fer_lightning.errors import InputError, require
from fer_lightning.processes import n_processes, rank
from gmm.faces.face_points import FacePoints
from gmm.mixtures.mixture import Mixture
from gmm.points import Distributed, Shards


@dataclass(frozen=True, eq=False)
class FittedPoints:
    """The points of a fit, of which this process may hold a part only.

    Attributes:
        own: The points of this process: (n, D), or batches of them.
        n: How many there are in all.
    """

    own: Tensor | Iterable[Tensor]
    n: int

    @property
    def data(self) -> Tensor | Iterable[Tensor] | Distributed:
        """Return the points in the form that `gmm.fit_em` takes."""
        return Distributed(self.own) if n_processes() > 1 else self.own

    def log_likelihood(self, mixture: Mixture) -> float:
        """Return the sum of the log-likelihoods of all points, over all processes."""
        batches = [self.own] if isinstance(self.own, Tensor) else self.own
        total = torch.zeros((), dtype=torch.float64, device=mixture.means.device)
        for x in batches:
            total += mixture.score_samples(x, dtype=torch.float64).sum()
        return float(self.data.total(total) if isinstance(self.data, Distributed) else total)


def fitted_points(config: DictConfig, faces: FacePoints) -> FittedPoints:
    """Return the points that a mixture is to be fitted to, as the configuration says.

    Raises:
        InputError: The shards cannot be read, or do not hold such faces.
    """
    if config.shards is not None:
        shards = FaceShards(config.shards, faces)
        return FittedPoints(shards, shards.n_points)
    N, P = len(faces.splits.train), n_processes()
    rows = torch.arange(N * rank() // P, N * (rank() + 1) // P) if P > 1 else None
    return FittedPoints(faces.points("train", rows), N)


class FaceShards:
    """This process's part of the points in the shards of a folder, read batch by batch.

    Args:
        folder: For `Shards`; integers are grey levels 0..255, floats pixels in [0, 1].
        faces: How faces become points, and where.

    Raises:
        InputError: The shards cannot be read, or do not hold such faces.
    """

    def __init__(self, folder: str, faces: FacePoints) -> None:
        try:
            whole = Shards(folder)
        except ValueError as error:
            raise InputError(f"shards: {error}") from error
        n_pixels = faces.splits.train.images[0].numel()
        rule = f"hold faces of {n_pixels} pixels"
        require(whole.n_features == n_pixels, "shards", rule, whole.n_features)
        self.n_points = whole.n_points
        self._folder, self._faces = folder, faces
        self._shards = whole.of_process(rank(), n_processes())

    def __iter__(self) -> Iterator[Tensor]:
        try:
            for rows in self._shards:
                pixels = rows.to(self._faces.device, torch.float32)
                if not rows.is_floating_point():
                    pixels /= 255
                if not pixels.isfinite().all():
                    raise ValueError(f"{self._folder}: must hold finite numbers")
                yield self._faces.features.encode(pixels)
        except ValueError as error:
            raise InputError(f"shards: {error}") from error


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes that `torchrun` has started to one group for the duration of a block."""
    if n_processes() == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()
