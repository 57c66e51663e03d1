"""A mixture per expression: `python -m gmm.classify --help` shows what can be set."""

import functools
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from fer_lightning.data import CLASSES
from fer_lightning.errors import SettingError, require
from fer_lightning.runs import finished_run
from fer_lightning.shell import command
from gmm.faces.class_mixtures import PRIORS, class_faces, fit_classes
from gmm.faces.face_points import announce, face_points
from gmm.faces.kept_state import KeptState, remove_state
from gmm.faces.progress import em_progress
from gmm.faces.run_folder import CLASSIFY, write_sweep_table
from gmm.faces.settings import mixture_settings, start_names


def classify(config: DictConfig, folder: Path, overrides: list[str]) -> float:
    """Fit mixtures of every K to every class as the configuration says, all as one batch.

    Args:
        config: The composed configuration of `conf/gmm/classify.yaml`.
        folder: Where the run writes.
        overrides: What the user changed, for the summary.

    Returns:
        The lowest validation error, in [0, 1].

    Raises:
        InputError: A setting breaks its rule, or the faces cannot be read.
    """
    started = time.perf_counter()
    done = finished_run(folder) if config.resume is not None else None
    if done:
        remove_state(folder)
        return float(done["best"]["val"])
    settings = mixture_settings(config)
    classes = class_numbers(config.classes)
    (start,) = start_names(config.start)
    require(config.prior in PRIORS, "prior", f"be one of {', '.join(PRIORS)}", config.prior)
    faces = face_points(config)
    settings.require_features(faces.n_features)
    chosen = class_faces(faces, classes, max(settings.sizes))
    announce(faces, settings, folder)
    state = KeptState(folder, config.checkpoint_every_seconds, config.resume is not None)
    train = chosen["train"]
    with em_progress(settings.max_iter) as progress, state.signals_wait():
        fitted = fit_classes(
            train, len(classes), settings, start, config.seed, progress, state, config.prior
        )
    from gmm.faces.classify_report import report  # figures and TensorBoard take a second to import
    from gmm.faces.run_folder import RunFolder

    with RunFolder(folder) as run:
        results = report(run, fitted, chosen, [CLASSES[c] for c in classes], settings)
        run.summary(results, config, overrides, faces, started)
    remove_state(folder)
    return float(results["best"]["val"])


def class_numbers(classes: Any) -> list[int]:
    """Return the indices into `CLASSES` of the chosen expressions.

    Raises:
        SettingError: An expression is unknown or given twice, or there are fewer than two.
    """
    if classes == "all":
        return list(range(len(CLASSES)))
    names = list(classes) if isinstance(classes, ListConfig | list) else [classes]
    if len(names) < 2 or len(set(names)) < len(names) or not set(names) <= set(CLASSES):
        rule = f"be all, or a list of at least two different ones of {', '.join(CLASSES)}"
        raise SettingError("classes", rule, names)
    return [CLASSES.index(name) for name in names]


def cli() -> None:
    """Run the command line."""
    command("gmm/classify", classify, end_sweep=functools.partial(write_sweep_table, CLASSIFY))


if __name__ == "__main__":
    cli()
