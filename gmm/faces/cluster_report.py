"""What `python -m gmm.cluster` leaves in its folder and says at its end."""

import logging
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from fer_lightning.data import CLASSES, SPLITS
from fer_lightning.files import whole_file
from fer_lightning.plots import as_text, contingency, count_table, face_sheet, padded, plain_table
from gmm.faces.clustering import Clustering, finite, near_end
from gmm.faces.curves import likelihood_curves, mixing_bars
from gmm.faces.face_points import FacePoints
from gmm.faces.features import pixel_variances
from gmm.faces.run_folder import RunFolder

N_TYPICAL, N_SAMPLES = 10, 30
COLUMNS = ("start", "restart", "iteration", "log_likelihood")

log = logging.getLogger(__name__)


def report(
    run: RunFolder, found: Clustering, faces: FacePoints, n: int, fitted: float, seed: int
) -> dict[str, Any]:
    """Write and log the results of a clustering; return them for the summary.

    Args:
        run: The folder to write to.
        found: The fits.
        faces: The faces that show what was found.
        n: Number of points that the mixture was fitted to, most often the training faces.
        fitted: Their log-likelihood under it, summed.
        seed: Seed of the faces that are sampled.
    """
    x, mixture = faces.points("train"), found.mixture
    joint = mixture.log_joint(x).cpu()
    clusters = joint.argmax(-1)
    counts = contingency(clusters, faces.labels("train"), joint.shape[-1], len(CLASSES))
    # The log-likelihoods are of the mixture as it is saved: one M-step after the last of the csv.
    scores = {
        split: float(mixture.score_samples(faces.points(split), dtype=torch.float64).sum())
        for split in SPLITS
    }
    n_parameters = int(mixture.n_parameters)
    results = {
        "log_likelihood": {name: _of_start(found, s) for s, name in enumerate(found.names)},
        "model": {
            "start": found.names[found.start],
            "restart": int(found.best[found.start]) + 1,
            "log_likelihood": scores,
            "fitted": {"n": n, "log_likelihood": fitted},
            "weights": mixture.weights.tolist(),
            "n_parameters": n_parameters,
            "bic": n_parameters * math.log(n) - 2 * fitted,
            "aic": n_parameters * 2 - 2 * fitted,
            "empty": found.fit.empty[found.start, found.best[found.start]].nonzero()[:, 0].tolist(),
        },
        "clusters": {
            "counts": {name: counts[:, c].tolist() for c, name in enumerate(CLASSES)},
            "purity": purity(counts),
            "largest_class": float(counts.sum(0).max() / counts.sum()),
            "adjusted_rand": adjusted_rand(counts),
        },
    }
    with whole_file(run.path / "mixture.pt") as part:
        mixture.save(part)
    run.table("log_likelihood", COLUMNS, _rows(found))
    for s, name in enumerate(found.names):
        curve = found.curve(s)
        run.curve(f"log_likelihood/{name}", curve.tolist(), range(1, len(curve) + 1))
    _draw(run, found, faces, joint, counts, seed)
    log.info("%s\n%s", _start_table(found), _cluster_table(results, counts))
    _warn(found)
    return results


def _of_start(found: Clustering, s: int) -> dict[str, Any]:
    curve, best = found.curve(s), int(found.best[s])
    return {
        "best_restart": best + 1,
        "iterations": len(curve),
        "first": float(curve[0]) if len(curve) else None,
        "last": float(curve[-1]) if len(curve) else None,
        "within_0.1_percent_at": near_end(curve),
        "converged": bool(found.fit.converged[s, best]),
        "singular": bool(found.fit.singular[s, best].any()),
    }


def _rows(found: Clustering) -> Iterator[tuple[object, ...]]:
    for name, of_start in zip(found.names, found.log_likelihood, strict=True):
        for restart, curve in enumerate(of_start, 1):
            for iteration, value in enumerate(finite(curve).tolist(), 1):
                yield name, restart, iteration, f"{value:.12g}"


def _draw(
    run: RunFolder,
    found: Clustering,
    faces: FacePoints,
    joint: Tensor,
    counts: Tensor,
    seed: int,
) -> None:
    mixture, features = found.mixture, faces.features
    weights = mixture.weights.cpu()
    K = len(weights)
    wide = min(K, 7 if K <= 14 else 10)
    names = [f"{k}: {weight:.1%}" for k, weight in enumerate(weights.tolist(), 1)]
    means = features.decode(mixture.means)
    run.figure("means", face_sheet(f"Means of {K} components", means, wide, names))
    variances = pixel_variances(mixture, features)
    title = f"Variances of {K} components"
    run.figure("variances", face_sheet(title, variances, wide, names, unit="variance"))
    run.figure("mixing", mixing_bars(weights))
    curves = {
        name: (found.log_likelihood[s], int(found.best[s]), near_end(found.curve(s)))
        for s, name in enumerate(found.names)
    }
    run.figure("log_likelihood", likelihood_curves(curves))

    clusters = joint.argmax(-1)
    pixels = faces.splits.train.images.flatten(1) / 255
    typical = [pixels[_most_typical(joint, clusters, k)] for k in range(K)]
    title = "Faces with the highest density in each cluster"
    run.figure("typical", face_sheet(title, padded(typical, N_TYPICAL), N_TYPICAL, rows=names))
    drawn, of = mixture.sample(N_SAMPLES, torch.Generator().manual_seed(seed))
    order = of.argsort(stable=True)
    captions = [f"from {k + 1}" for k in of[order].tolist()]
    sampled = features.decode(drawn[order]).clamp(0, 1)
    run.figure("samples", face_sheet("Faces sampled from the mixture", sampled, 10, captions))
    title = "Training faces of each cluster, by expression"
    rows = [str(k) for k in range(1, K + 1)]
    table = count_table(title, counts, rows, CLASSES, ("cluster", "expression"))
    run.figure("clusters", table)


def _most_typical(joint: Tensor, clusters: Tensor, k: int) -> Tensor:
    """Return the positions of the faces in cluster k with the highest density."""
    members = (clusters == k).nonzero()[:, 0]
    return members[joint[members, k].argsort(descending=True)[:N_TYPICAL]]


def _start_table(found: Clustering) -> str:
    table = plain_table("start", "iteration 1", "2", "last", "at", "within 0.1 % at")
    for s, name in enumerate(found.names):
        curve = found.curve(s)
        if not len(curve):
            table.add_row(name, *["-"] * 5)
            continue
        values = [f"{curve[min(i, len(curve) - 1)]:,.1f}" for i in (0, 1)]
        end = (f"{curve[-1]:,.1f}", str(len(curve)), str(near_end(curve)))
        table.add_row(name, *values, *end)
    return as_text(table)


def _cluster_table(results: dict[str, Any], counts: Tensor) -> str:
    table = plain_table("cluster", "weight", *CLASSES, "all")
    for k, row in enumerate(counts.tolist()):
        weight = results["model"]["weights"][k]
        table.add_row(str(k + 1), f"{weight:.3f}", *(f"{n:,}" for n in row), f"{sum(row):,}")
    clusters = results["clusters"]
    return (
        f"{as_text(table)}\n"
        f"purity {clusters['purity']:.1%} (the largest class alone: "
        f"{clusters['largest_class']:.1%}), adjusted Rand index {clusters['adjusted_rand']:.3f}"
    )


def _warn(found: Clustering) -> None:
    n_singular = int(found.fit.singular.any(-1).sum())
    if n_singular:
        log.warning("%d of %d fits lost a covariance", n_singular, found.best.numel())
    n_empty = int(found.fit.empty[found.start, found.best[found.start]].sum())
    if n_empty:
        log.warning("%d components have no face", n_empty)


def purity(counts: Tensor) -> float:
    """Return the share of points whose class is the most frequent one of their cluster."""
    return float(counts.amax(-1).sum() / counts.sum())


def adjusted_rand(counts: Tensor) -> float:
    """Return the adjusted Rand index (Hubert and Arabie 1985, eq. 5): 0 by chance, 1 if equal."""

    def pairs(n: Tensor) -> float:
        n = n.double()
        return float((n * (n - 1) / 2).sum())

    together, rows, columns = pairs(counts), pairs(counts.sum(-1)), pairs(counts.sum(-2))
    expected = rows * columns / max(pairs(counts.sum()), 1)
    most = (rows + columns) / 2
    return (together - expected) / (most - expected) if most != expected else 1.0
