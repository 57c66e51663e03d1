"""Cluster faces by a Gaussian mixture: `python -m gmm.cluster --help` shows what can be set."""

import functools
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from fer_lightning.errors import require, require_integer
from fer_lightning.processes import leads, place_of_run
from fer_lightning.runs import finished_run
from fer_lightning.shell import command
from gmm.faces.clustering import fit_starts
from gmm.faces.face_points import announce, face_points
from gmm.faces.fitted_points import fitted_points, process_group
from gmm.faces.kept_state import KeptState, remove_state
from gmm.faces.progress import em_progress
from gmm.faces.run_folder import CLUSTER, write_sweep_table
from gmm.faces.settings import mixture_settings, start_names


def cluster(config: DictConfig, folder: Path, overrides: list[str]) -> float:
    """Fit a mixture to the training faces as the configuration says.

    Args:
        config: The composed configuration of `conf/gmm/cluster.yaml`.
        folder: Where the run writes.
        overrides: What the user changed, for the summary.

    Returns:
        The mean log-likelihood of a validation face; NaN in a process that does not lead.

    Raises:
        InputError: A setting breaks its rule, or the faces cannot be read.
    """
    started = time.perf_counter()
    place = place_of_run(folder, config.resume)
    done = finished_run(place) if config.resume is not None else None
    if done:
        remove_state(place)
        return float(done["model"]["log_likelihood"]["val"] / done["data"]["val"])
    settings = mixture_settings(config)
    require_integer("mixture.n_components", settings.n_components, 1)
    require_integer("mixture.n_factors", settings.n_factors, 0)
    shares = settings.share_covariance
    require(not shares, "mixture.share_covariance", "be false, as there are no classes", shares)
    names = start_names(config.start, both=True)
    faces = face_points(config)
    settings.require_features(faces.n_features)
    points = fitted_points(config, faces)
    require_integer("mixture.n_components", settings.n_components, 1, points.n)
    announce(faces, settings, folder)
    describe = functools.partial(_describe, names, points.n)
    with process_group(faces.device), em_progress(settings.max_iter, describe) as progress:
        state = KeptState(place, config.checkpoint_every_seconds, config.resume is not None)
        with state.signals_wait():
            found = fit_starts(points.data, points.n, names, settings, config.seed, progress, state)
        fitted = points.log_likelihood(found.mixture)
    if not leads():
        return math.nan
    from gmm.faces.cluster_report import report  # figures and TensorBoard take a second to import
    from gmm.faces.run_folder import RunFolder

    with RunFolder(folder) as run:
        results = report(run, found, faces, points.n, fitted, config.seed)
        run.summary(results, config, overrides, faces, started)
    remove_state(folder)
    return float(results["model"]["log_likelihood"]["val"] / len(faces.splits.val))


def _describe(names: Sequence[str], n: int, mean: Tensor) -> str:
    """Return a line with the highest log-likelihood among the restarts of every start.

    Args:
        names: The starts.
        n: Number of points.
        mean: Mean log-likelihood of a point in every restart of every start.
    """
    # Restarts that have ended count no longer.
    tops = mean.reshape(len(names), -1).nan_to_num(-torch.inf).amax(-1) * n
    shown = zip(names, tops.tolist(), strict=True)
    return "  ".join(f"{name} {top:,.1f}" for name, top in shown if top > -torch.inf)


def cli() -> None:
    """Run the command line."""
    command("gmm/cluster", cluster, end_sweep=functools.partial(write_sweep_table, CLUSTER))


if __name__ == "__main__":
    cli()
