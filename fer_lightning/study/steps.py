"""The steps of the study: which commands each is, and about how long it takes."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from fer_lightning.runs import quoted

PARTS = ("A1", "A2", "A2+", "A3", "A4", "A5", "B1", "B2", "B3", "B3+")
EPOCHS = {"mlp": 1000, "cnn": 30}

# Experiment: parts of the study, what it is about, seconds of its epochs on two cores with the
# synthetic faces.
NETWORKS: dict[str, tuple[tuple[str, ...], str, float]] = {
    "mlp": (("A1", "A5"), "the default MLP", 60),
    "cnn": (("A1", "A5"), "the default CNN", 80),
    "mlp_learning_rate": (("A2",), "learning rates of the MLP", 60),
    "cnn_learning_rate": (("A2",), "learning rates of the CNN", 130),
    "mlp_momentum": (("A2",), "momenta of the MLP", 40),
    "cnn_momentum": (("A2",), "momenta of the CNN", 80),
    "mlp_batch_size": (("A2",), "batch sizes of the MLP", 1100),
    "cnn_batch_size": (("A2",), "batch sizes of the CNN", 400),
    "mlp_hidden": (("A3",), "hidden units of the MLP", 120),
    "cnn_filters": (("A3",), "filters of the CNN", 120),
    "cnn_matched": (("A4",), "a CNN of the MLP's size", 150),
    "mlp_grid": (("A2+",), "the grid of 75 MLPs in five folds", 90000),
    "cnn_grid": (("A2+",), "the grid of 75 CNNs in five folds", 150000),
}
SEEDED = ("mlp", "cnn", "cnn_matched")
START_SECONDS = 8.0


@dataclass(frozen=True)
class Step:
    """Commands that belong together.

    Attributes:
        name: Name of the step, and of its folder if it has one.
        parts: Parts of the study that it answers.
        what: Description in a few words.
        seconds: About how long it takes on two cores with the synthetic faces.
        commands: The command lines, after `python`.
        is_sweep: Whether it is a sweep of networks in its folder, which can be resumed.
    """

    name: str
    parts: tuple[str, ...]
    what: str
    seconds: float
    commands: tuple[tuple[str, ...], ...]
    is_sweep: bool = False


def steps(
    folder: Path, fraction: float, seeds: Sequence[int], data: Sequence[str], parts: Set[str]
) -> list[Step]:
    """Return the steps that the chosen parts of the study need, in their order.

    Args:
        folder: Where they write.
        fraction: Share of the study's epochs.
        seeds: Seeds of the networks of A1 and A4.
        data: Overrides that choose the faces.
        parts: Which parts, of `PARTS`.
    """
    networks = [
        _network(name, folder, fraction, seeds, data)
        for name, (its_parts, *_) in NETWORKS.items()
        if parts & set(its_parts)
    ]
    shown = [step.name for step in networks if step.name in SEEDED]
    others = [_evaluation(folder, shown), *_mixtures(folder, data)]
    return [*networks, *(step for step in others if step.commands and parts & set(step.parts))]


def _network(
    name: str, folder: Path, fraction: float, seeds: Sequence[int], data: Sequence[str]
) -> Step:
    parts, what, seconds = NETWORKS[name]
    epochs = max(1, round(fraction * EPOCHS[name.partition("_")[0]]))
    sweep = [f"seed={','.join(map(str, seeds))}"] if name in SEEDED else []
    line = [
        "-m",
        "fer_lightning.train",
        "-m",
        f"experiment={name}",
        *sweep,
        *data,
        "hydra/launcher=fused",
    ]
    line += [f"trainer.max_epochs={epochs}", f"hydra.sweep.dir={quoted(str(folder / name))}"]
    return Step(name, parts, what, START_SECONDS + fraction * seconds, (tuple(line),), True)


def _evaluation(folder: Path, networks: Sequence[str]) -> Step:
    """Return the step that evaluates the networks trained with several seeds."""
    sweeps = [str(folder / name) for name in networks]
    lines = [
        ("-m", "fer_lightning.evaluate", *sweeps, f"split={split}", f"output={quoted(str(output))}")
        for split in ("train", "val", "test")
        for output in [folder / "evaluation" / split]
    ]
    what = "first layers, uncertainty and mistakes of the networks"
    return Step("evaluation", ("A1", "A4", "A5"), what, 90, tuple(lines if networks else ()))


def _mixtures(folder: Path, data: Sequence[str]) -> list[Step]:
    planned = (
        ("clusters", ("B1", "B2"), "clusters of the faces, from two starts", "gmm.cluster", ()),
        ("anger_happy", ("B3",), "anger against happy, a mixture for each", "gmm.classify", ()),
        ("classes", ("B3+",), "a mixture for each class", "gmm.classify", ("classes=all",)),
    )
    return [
        Step(name, parts, what, 15, (("-m", module, *more, *data, _run_dir(folder / name)),))
        for name, parts, what, module, more in planned
    ]


def _run_dir(folder: Path) -> str:
    return f"hydra.run.dir={quoted(str(folder))}"
