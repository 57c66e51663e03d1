"""Pictures that show the same: equal ones, nearly equal ones, and those that are mirrored."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

COARSE, FINE = 16, 24  # pixels a side of thumbnails for the search and for the check
ALIKE = 0.8  # correlation of coarse thumbnails from which a pair is checked
SAME = 0.75  # correlation of fine details from which it shows the same; docs/faces.md tells why
SHIFT = 2  # pixels of a fine thumbnail by which two crops of a photograph may differ
DETAIL = 7  # side of the square whose mean is subtracted to leave the details
SHIFTS = [(y, x) for y in range(-SHIFT, SHIFT + 1) for x in range(-SHIFT, SHIFT + 1)]
BLOCK = 1024  # pictures a side of a block of pairs
PAIRS = 1024  # that are checked at once


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures that show the same.

    Attributes:
        first: Position of the first, (P,) int64.
        second: Position of the second, above that of the first.
        similarity: Correlation of their details, at most 1; 1 of equal pictures, (P,).
        exact: Whether all their pixels are equal, (P,) bool.
        mirrored: Whether one is the mirror image of the other, (P,) bool.
    """

    first: Tensor
    second: Tensor
    similarity: Tensor
    exact: Tensor
    mirrored: Tensor

    def __len__(self) -> int:
        return len(self.first)


def find_pairs(images: Tensor, alike: float = ALIKE, same: float = SAME) -> Pairs:
    """Return all pairs of pictures that show the same.

    Pairs whose coarse thumbnails, without the mean face, correlate are found by matrix products
    over all pairs, block by block. Of these, the ones stay whose details correlate at the best of a
    few small shifts. A picture of one grey level is like no other.

    Args:
        images: Grey levels, (N, 1, H, H), uint8.
        alike: The least correlation of coarse thumbnails.
        same: The least correlation of details.
    """
    pairs, mirrored = _candidates(_thumbnails(images, COARSE), alike)
    similarity = _similarities(_details(images), pairs, mirrored)
    first, second = pairs.T
    exact = (images[first] == images[second]).flatten(1).all(1)
    similarity[exact] = 1.0
    stays = similarity >= same
    found = (first, second, similarity, exact, mirrored & ~exact)
    return Pairs(*(each[stays] for each in found))


def _unit(x: Tensor) -> Tensor:
    """Return vectors, (..., P), with mean 0 and length 1; constant ones become 0."""
    x = x - x.mean(-1, keepdim=True)
    return x / x.norm(dim=-1, keepdim=True).clamp_min(1e-6)


def _thumbnails(images: Tensor, side: int) -> Tensor:
    """Return standardised thumbnails without the mean face, (N, side, side), of length 1."""
    small = torch.cat([_shrunk(part, side) for part in images.split(4096)])
    small = _unit(small.flatten(1)).unflatten(1, (side, side))
    mean = small.mean(0)
    mean = (mean + mean.flip(-1)) / 2  # a face and its mirror image lose the same
    flat = small.std((1, 2)) < 1e-6
    small = _unit((small - mean).flatten(1)).unflatten(1, (side, side))
    small[flat] = 0
    return small


def _shrunk(images: Tensor, side: int) -> Tensor:
    """Return thumbnails, (N, side, side), float32, each pixel the mean of a square.

    Squares overlap where their side is no whole number of pixels.
    """
    return F.adaptive_avg_pool2d(images.float(), side)[:, 0]


def _candidates(small: Tensor, alike: float) -> tuple[Tensor, Tensor]:
    """Return the pairs of correlated thumbnails, (P, 2), and whether one must be mirrored, (P,).

    A thumbnail is the sum of an even part, equal to its mirror image, and an odd one. With s and a
    the products of the even and odd parts of two of them, their correlation is s + a, and s - a if
    one is mirrored: the larger is s + |a|.
    """
    half = small.shape[-1] // 2
    left, right = small[..., :half], small[..., half:].flip(-1)
    even, odd = ((left + sign * right).flatten(1) / 2**0.5 for sign in (1, -1))
    found = []
    n = len(small)
    for i in range(0, n, BLOCK):
        for j in range(i, n, BLOCK):
            alikes = even[i : i + BLOCK] @ even[j : j + BLOCK].T
            alikes += (odd[i : i + BLOCK] @ odd[j : j + BLOCK].T).abs_()
            if float(alikes.max()) >= alike:
                rows = (alikes >= alike).nonzero() + torch.tensor([i, j])
                found.append(rows[rows[:, 0] < rows[:, 1]])
    pairs = torch.cat([torch.empty(0, 2, dtype=torch.int64), *found])
    parts = [(odd[a] * odd[b]).sum(1) for a, b in (part.T for part in pairs.split(BLOCK))]
    return pairs, torch.cat([torch.empty(0), *parts]) < 0


def _details(images: Tensor) -> Tensor:
    """Return fine thumbnails without what is smooth in them, (N, FINE, FINE)."""
    return torch.cat([_sharp(_shrunk(part, FINE)) for part in images.split(4096)])


def _sharp(small: Tensor) -> Tensor:
    around = F.pad(small[:, None], (DETAIL // 2,) * 4, mode="replicate")
    return small - F.avg_pool2d(around, DETAIL, 1)[:, 0]


def _similarities(details: Tensor, pairs: Tensor, mirrored: Tensor) -> Tensor:
    """Return the correlation of the details of each pair at the best of all small shifts, (P,)."""
    norms = {shift: _overlap(details, *shift).square().sum((1, 2)).sqrt() for shift in SHIFTS}
    parts = zip(pairs.split(PAIRS), mirrored.split(PAIRS), strict=True)
    return torch.cat([torch.empty(0), *(_similarity(details, norms, *part) for part in parts)])


def _similarity(
    details: Tensor, norms: dict[tuple[int, int], Tensor], pairs: Tensor, mirrored: Tensor
) -> Tensor:
    """Return the same of some pairs; the mean of details is 0 but for a trace.

    Args:
        details: Of all pictures.
        norms: Of the part of each picture that a shifted one covers, (N,).
        pairs: Positions, (P, 2).
        mirrored: Whether one of them is mirrored, (P,).
    """
    a, b = pairs.T
    first, second = details[a], details[b]
    second = torch.where(mirrored[:, None, None], second.flip(-1), second)
    each = []
    for dy, dx in SHIFTS:
        product = (_overlap(first, dy, dx) * _overlap(second, -dy, -dx)).sum((1, 2))
        norm = torch.where(mirrored, norms[-dy, dx][b], norms[-dy, -dx][b])
        each.append(product / (norms[dy, dx][a] * norm).clamp_min(1e-6))
    return torch.stack(each).amax(0)


def _overlap(x: Tensor, dy: int, dx: int) -> Tensor:
    """Return the part of thumbnails that others, moved down by dy and right by dx, cover."""
    n = x.shape[-1]
    return x[:, max(0, dy) : n + min(0, dy), max(0, dx) : n + min(0, dx)]


def groups_of(pairs: Pairs, n: int) -> np.ndarray:
    """Return the number of the group that each of n pictures is in, (n,), from 1; 0 of none.

    Pictures that a chain of pairs connects are one group; groups are in the order of their first
    pictures.
    """
    ones = np.ones(len(pairs), dtype=bool)
    graph = coo_array((ones, (pairs.first.numpy(), pairs.second.numpy())), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    size = np.bincount(component, minlength=n)
    _, first, number = np.unique(component, return_index=True, return_inverse=True)
    shown = size[component[first]] > 1
    rank = np.zeros(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.cumsum(shown[np.argsort(first)])
    return np.where(size[component] > 1, rank[number], 0)
