"""Networks and mixtures side by side on the same test faces."""

from collections.abc import Iterable

from fer_lightning.report.collection import Collection
from fer_lightning.report.files import number_at, text_at
from fer_lightning.report.markup import Markup, element, joined
from fer_lightning.report.mixtures import MixtureRun
from fer_lightning.report.run_section import shape
from fer_lightning.report.runs import Run
from fer_lightning.report.section import Section, command, paragraph
from fer_lightning.report.setting_values import shown
from fer_lightning.report.sweeps import REPLICATES, Configuration, Spread, Sweep
from fer_lightning.report.tables import Cell, figure, spread, table

NO_MATTER = (*REPLICATES, "threads", "data.cache_dir")
COLUMNS = (
    "What", "Chosen", "Test acc, %", "Test CE", "Val acc, %", "Train acc, %", "Parameters",
    "Seconds", "Runs",
)  # fmt: skip


def same_faces_section(found: Collection) -> Section:
    """A table for each data set: the best of each kind of network and mixture."""
    title = "Networks and mixtures on the same test faces"
    runs = [run for run in found.runs if run.status == "done" and not _is_fold(run)]
    mixtures = [run for run in found.of_kind("classify") if run.tells_all_test_faces_apart]
    prints = dict.fromkeys([*map(_fingerprint, runs), *map(_fingerprint, mixtures)])
    parts = []
    for fingerprint in prints:
        networks = [run for run in runs if _fingerprint(run) == fingerprint]
        others = [run for run in mixtures if _fingerprint(run) == fingerprint]
        rows = [*map(_network_row, _best_networks(networks)), *map(_mixture_row, _best(others))]
        summary = networks[0].summary if networks else others[0].summary
        parts += [_faces(summary, fingerprint), table(COLUMNS, rows)]
    note = paragraph(
        "Of each kind, the settings that are best on validation faces, chosen without a look at "
        "the test faces; of a network, its best epoch. Parts of a cross-validation and runs that "
        "tell only some expressions apart are left out. Mixtures that tell all expressions apart "
        "are made by ", command("python -m gmm.classify classes=all"), ".", class_="note",
    )  # fmt: skip
    return Section("same-faces", title, joined([note, *parts]))


def _fingerprint(run: Run | MixtureRun) -> str | None:
    return text_at(run.summary, "data", "fingerprint")


def _is_fold(run: Run) -> bool:
    return bool(run.settings.get("data.cv_folds"))


def _faces(summary: object, fingerprint: str | None) -> Markup:
    name = text_at(summary, "data", "name") or "unknown faces"
    sizes = [number_at(summary, "data", split) for split in ("train", "val", "test")]
    numbers = " / ".join("-" if n is None else f"{n:,.0f}" for n in sizes)
    mark = f", fingerprint {fingerprint[:12]}" if fingerprint else ""
    return element("h3", f"{name}: {numbers} faces for training, validation and test{mark}")


def _best_networks(runs: Iterable[Run]) -> list[tuple[str, Configuration]]:
    """The best settings of every kind of network, by kind."""
    alike: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        told = sorted((key, str(v)) for key, v in run.settings.items() if key not in NO_MATTER)
        kind = f"{run.model or 'network'} {shape(run)}".strip()
        alike.setdefault(kind, {}).setdefault(str(told), []).append(run)
    best = []
    for kind, groups in sorted(alike.items()):
        configurations = [Configuration({}, group) for group in groups.values()]
        best.append((kind, Sweep(None, [], [], configurations).ranking()[0]))
    return best


def _network_row(row: tuple[str, Configuration]) -> list[Cell | str]:
    kind, of = row
    settings = of.runs[0].settings
    chosen = ", ".join(
        f"{name} {shown(settings[key])}"
        for key, name in {
            "optim.lr": "lr",
            "optim.momentum": "momentum",
            "data.batch_size": "batch",
            "trainer.max_epochs": "epochs",
        }.items()
        if key in settings
    )
    return [
        kind,
        chosen or "-",
        spread(of.score("best", "test", "acc"), ".1f", 100),
        spread(of.score("best", "test", "ce"), ".3f"),
        spread(of.score("best", "val", "acc"), ".1f", 100),
        spread(of.score("best", "train", "acc"), ".1f", 100),
        figure(number_at(of.runs[0].summary, "n_parameters"), ",.0f"),
        spread(Spread.of(run.seconds for run in of.runs), ".1f"),
        figure(len(of.runs), "d"),
    ]


def _best(runs: Iterable[MixtureRun]) -> list[MixtureRun]:
    """The best of the mixtures of each structure on each kind of features."""
    kinds: dict[str, list[MixtureRun]] = {}
    for run in runs:
        kinds.setdefault(_kind(run), []).append(run)
    return [min(group, key=lambda run: _error(run, "val") or 0.0) for group in kinds.values()]


def _kind(run: MixtureRun) -> str:
    covariance = shown(run.setting("mixture.covariance_type"))
    return f"mixture per class, {covariance}, {text_at(run.summary, 'features', 'name')}"


def _error(run: MixtureRun, split: str) -> float | None:
    return number_at(run.summary, "best", split)


def _mixture_row(run: MixtureRun) -> list[Cell | str]:
    errors = [_error(run, split) for split in ("test", "val", "train")]
    test, val, train = (
        figure(None if error is None else 100 * (1 - error), ".1f") for error in errors
    )
    n_components = number_at(run.summary, "best", "n_components")
    return [
        _kind(run),
        "-" if n_components is None else f"K = {n_components}",
        test,
        figure(number_at(run.summary, "calibration", "test_as_fitted", "nll"), ".3f"),
        val,
        train,
        figure(number_at(run.summary, "best", "n_parameters"), ",.0f"),
        figure(number_at(run.summary, "seconds"), ".1f"),
        figure(1, "d"),
    ]
